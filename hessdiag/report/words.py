"""Answers in words, by the templates of words.toml."""

import re
import string
from collections.abc import Mapping
from typing import Any

import numpy as np

from hessdiag.analysis import Answer, Findings, Quantity
from hessdiag.report import names
from hessdiag.report.numbers import factor, interval, percent, plain, share
from hessdiag.report.select import Frame, column, cuts, is_across, longest, measured, rows

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
_COUNTS = ("met", "of", "horizon")  # endings of names of whole numbers
_PLAIN = ("signal", "rival", "slope", "final", "difference")  # no factors
_CHANGES = ("memory-cut", "hessian-cut", "mix", "sources")  # the most telling first
CLAIMS_IN_TITLE = 2  # in a title
_TITLES = (("hessian-cut", "memory-cut"), ("published",), ("growth",))
_WHOLE = 0.95  # of published curves: what covers more is told as all
_PARTS = {0.2: "little", 0.29: "a quarter", 0.42: "a third", 0.58: "half", 0.72: "two thirds"}


def templates() -> dict[str, dict[str, Any]]:
    """By question: what it asks, its heading in tables, and the templates by status and form."""
    return names.texts("words")


def answers(findings: Findings, question: str) -> list[Answer]:
    """The answers to a question, in the order of the configurations."""
    return [answer for answer in findings.verdict if answer.question == question]


def leading(findings: Findings) -> str:
    """The configuration that titles and cards are of: that measured furthest."""
    return next(iter([*measured(findings), *findings.configurations]), "")


def said(form: str, findings: Findings, answer: Answer) -> str:
    """An answer as "title", "sentence", "cell" or "change"; empty where no template fits."""
    known = _values(findings, answer)
    forms = templates().get(answer.question, {}).get(answer.status, {}).get(form, ())
    for template in forms:
        fields = {name for _, name, _, _ in string.Formatter().parse(template) if name}
        if fields <= {name for name, text in known.items() if text}:
            return template.format_map(known).replace(" .", ".")
    return ""


def _values(findings: Findings, answer: Answer) -> dict[str, str]:
    """Everything that a template may name, as text; the growth is the same in all answers."""
    name = answer.configuration
    quantities = dict(answer.numbers)
    for same in answers(findings, "growth"):
        if same.configuration == name and "growth" in same.numbers:
            quantities["growth"] = same.numbers["growth"]
    known = {code: names.label(text) for code, text in answer.labels.items()}
    for code, quantity in quantities.items():
        known |= _texts(code, quantity)
    n = longest(findings, name)
    steps = names.number(n)
    return known | {
        "n": str(n),
        "steps": steps,
        "Steps": names.title(steps),
        "optimiser": names.optimiser(findings.settings, name),
        "why": names.texts("names")["reasons"].get(answer.reason, "no"),
        "part": part(findings, name),
    }


def _texts(name: str, quantity: Quantity) -> dict[str, str]:
    """A number, and the other forms of it that a template may name."""
    value, low, high = quantity.value, quantity.low, quantity.high
    if not np.isfinite(value):
        return {}
    if name.startswith("share"):
        text = share(value, low, high).replace("undecided", "")
        return {name: text, f"S{name[1:]}": names.title(text), f"{name}_plain": percent(value)}
    if name.endswith(_COUNTS):
        return {name: f"{value:g}"}
    text = plain(value, digits=2) if name in _PLAIN else factor(value)
    is_near = name in ("slope", "difference") or high < 100 * max(abs(value), 1e-300)
    is_narrow = np.isfinite(high) and is_near
    ends = interval(low, high) if is_narrow else ""
    return {name: text, f"{name}_plain": text.removesuffix("×"), f"{name}_range": ends}


def part(findings: Findings, configuration: str) -> str:
    """The share of the logarithm of the growth that goes without memory, in words."""
    frame = cuts(findings, configuration)
    shares = frame.loc[frame["cut"] == "no-memory", "removed"].dropna() if len(frame) else ()
    for removed in shares:
        words = (word for bound, word in _PARTS.items() if removed < bound)
        return next(words, percent(removed))
    return ""


def title(findings: Findings) -> str:
    """The finding: what is reproduced, what carries the noise, or what explains it."""
    if is_across(findings):
        return _counted(findings)
    total, returns = reproduced(findings), column(rows(findings, "final"), "published")
    if total is not None and np.isfinite(returns).sum() > 1:  # it is an experiment of the paper
        return said("title", findings, total)
    if slopes := claims(findings):
        return names.title("; ".join(slopes[:CLAIMS_IN_TITLE]))
    configuration = leading(findings)
    answers = {a.question: a for a in findings.verdict if a.configuration == configuration}
    grows = "growth" not in answers or answers["growth"].status != FAILS
    for questions in _TITLES[0 if grows else 2 :]:
        clauses = [said("title", findings, answers[code]) for code in questions if code in answers]
        if any(clauses):
            return "; ".join(filter(None, clauses))
    return _trained(findings)


def claims(findings: Findings) -> list[str]:
    """What was found of every published slope, in the order of the study."""
    told = [said("title", findings, answer) for answer in answers(findings, "slope")]
    return [text for text in told if text]


def reproduced(findings: Findings) -> Answer | None:
    """The answers about published numbers as one, by quantity; None where nothing is published."""
    each = [answer for answer in answers(findings, "reproduced") if "of" in answer.numbers]
    if not each:
        return None
    missed, beyond = (
        [name for a in each for name in a.labels.get(kind, "").split("; ") if name]
        for kind in ("missed", "beyond")
    )
    known = rows(findings, "published")
    counts = {}
    for quantity, word in (("growth", "noise"), ("final", "returns")):
        compared = known[(known["quantity"] == quantity) & known["low"].notna()]
        of = len(compared) if quantity == "final" else int((compared["horizon"] > 1).sum())
        lost = sum(name.startswith(quantity) for name in missed + beyond)
        counts |= {f"{word}_met": of - lost, f"{word}_of": of} if of else {}
    if beyond:
        counts["beyond"] = len(beyond)
    numbers = {name: Quantity(n, np.nan, np.nan, "bound", 1) for name, n in counts.items()}
    status = FAILS if missed else UNDECIDED if beyond else HOLDS
    labels = {"reached": reached} if (reached := _reached(findings)) else {}
    return Answer("reproduced", each[0].configuration, status, numbers=numbers, labels=labels)


def _reached(findings: Findings) -> str:
    """How much of published curves our trainings cover, `2,920 of 29,200`; empty if all."""
    published = column(rows(findings, "published curves"), "iteration")
    ours = max(findings.scale.get("iterations", ()), default=0)
    last = published.max(initial=0.0)
    return f"{ours:,} of {last:,.0f}" if 0 < ours < _WHOLE * last else ""


def _counted(findings: Findings) -> str:
    """In how many of several systems something holds, a clause per question."""
    systems, clauses = measured(findings), []
    for question, template in names.texts("names")["systems"]["counted"].items():
        asked = (a for a in answers(findings, question) if a.configuration in systems)
        count = sum(answer.status == HOLDS for answer in asked)
        known = {"count": names.number(count) if count else "none"}
        clauses.append(template.format_map(known | {"of": names.number(len(systems))}))
    return names.title("; ".join(clauses))


def _trained(findings: Findings) -> str:
    """What training ended with, where no meta-gradient was measured."""
    headline = str(findings.about.get("headline", ""))
    if len(pairs := rows(findings, "paired", series=headline)):
        return _compared(pairs, names.parameter(headline))
    ends = rows(findings, "final", series=headline)
    ends = ends[ends["final"].notna()] if len(ends) else ends
    if not len(ends):
        return f"Nothing is measured yet in {findings.name}"
    words = []
    for end in ends.iloc[sorted({0, len(ends) - 1})].to_dict("records"):
        name = f" ({names.configuration(end['configuration'])})" if len(ends) > 1 else ""
        words.append(f"{plain(end['final'], digits=2)}{name}")
    return f"{names.title(names.parameter(headline))} ends at {' to '.join(words)}"


def _compared(pairs: Frame, metric: str) -> str:
    """In how many pairs a setting of two values surely changes the end of training."""
    pairs = pairs[pairs["setting"] == pairs["setting"].iloc[0]]
    new, old = setting_values(pairs.iloc[0])
    higher, lower = sum(pairs["difference_low"] > 0), sum(pairs["difference_high"] < 0)
    of, against = names.number(len(pairs)), f"with {new} than with {old}"
    if not higher and not lower:
        where = f" in all {of} comparisons" if len(pairs) > 1 else ""
        return f"Whether {metric} ends higher {against} is undecided{where}"
    if len(pairs) == 1:
        return names.title(f"{metric} ends {'higher' if higher else 'lower'} {against}")
    counts = [names.number(count) if count else "none" for count in (higher, lower)]
    told = f"{metric} ends surely higher {against} in {counts[0]} of {of} comparisons"
    return names.title(f"{told}, lower in {counts[1]}")


def setting_values(pair: Mapping[str, Any]) -> tuple[str, str]:
    """What the two values of a paired setting are called, the later configuration's first."""
    key = str(pair["setting"]).rpartition(".")[2]
    new, old = (names.value_of(key, str(pair[name])) for name in ("value", "other"))
    return new, old


def sentences(findings: Findings) -> list[tuple[str, list[str], str]]:
    """Every question, its answers by configuration, and the slug of the figure that shows them."""
    several, told = len(findings.configurations) > 1, []
    for code, words in templates().items():
        lines, asked = [], answers(findings, code)
        for answer in asked:
            head = f"{names.configuration(answer.configuration)}: " if several else ""
            needs = f" Would take about {wanted(answer)}." if answer.needs else ""
            if text := said("sentence", findings, answer):
                lines.append(f"{head}{text}{needs}")
        if lines:
            told.append((words["question"], lines, asked[0].figure))
    return told


def wanted(answer: Answer) -> str:
    """What would decide an undecided question, such as `8 seeds`; empty otherwise."""
    return " or ".join(f"{value:,.0f} {name}" for name, value in answer.needs.items())


def changes(findings: Findings, *, most: int = 3) -> list[str]:
    """At most three bullets of what to change, of the leading configuration of one problem."""
    if is_across(findings):
        return []
    configuration = leading(findings)
    answers = {a.question: a for a in findings.verdict if a.configuration == configuration}
    texts = (said("change", findings, answers[code]) for code in _CHANGES if code in answers)
    return [_for_whom(findings, text) for text in texts if text][:most]


def _for_whom(findings: Findings, text: str) -> str:
    """Without the flags of a command where the loop is somebody's own."""
    return re.sub(r" \(`--[^`]*`\)", "", text) if findings.about.get("own_loop") else text
