"""What a page says first and last: the kicker, the lead, the cards, and its limits."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.numbers import factor, interval, plain
from hessdiag.report.select import (
    Frame,
    bounds,
    column,
    cuts,
    is_across,
    longest,
    measured,
    paper_formula,
    rows,
    spread,
)
from hessdiag.report.words import (
    CLAIMS_IN_TITLE,
    FAILS,
    HOLDS,
    answers,
    claims,
    leading,
    part,
    setting_values,
    templates,
    wanted,
)

_FAR = 2.0  # from a factor of the published value on, it is said in the lead
_CUTS = {"no-hessian": "without the Hessian path", "no-memory": "without the optimiser's memory"}
_LESS = 0.15  # of the logarithm of the growth: what removes more makes less noise
_MOST = 4  # cards of ends of training
_MOST_ENDS = 6  # in a sentence


class Card(NamedTuple):
    """One number: what it is, its interval, and a "good" or "bad" tone if it differs much."""

    label: str
    value: str
    detail: str = ""
    tone: str = ""


def kicker(findings: Findings) -> str:
    """What this is, in one line."""
    problem = str(findings.about.get("summary", "")).partition(";")[0]
    systems = len(measured(findings)) if is_across(findings) else _problems(findings)
    problem = f"{systems} systems" if systems > 1 else problem
    parts = (f"hessdiag {findings.kind}", findings.name, problem, scale(findings))
    return " · ".join(filter(None, parts))


def _problems(findings: Findings) -> int:
    """How many problems a study is of."""
    return len(findings.settings.get("env", [""]))


def scale(findings: Findings) -> str:
    """Seeds, iterations, probes and samples."""
    held = findings.scale
    counts = ("iterations", "points", "samples")
    iterations, points, samples = (_range(held.get(name, ())) for name in counts)
    if not iterations:
        return f"{samples} samples a point" if samples else ""
    seeds = held.get("seeds", 1)
    words = [f"{seeds} seeds" if seeds > 1 else "1 seed", f"{iterations} iterations"]
    if points not in ("0", ""):
        words.append(f"{points} {'probe' if points == '1' else 'probes'} a run, K = {samples}")
    return ", ".join(words)


def _range(values: Sequence[int]) -> str:
    """`5`, or `5 to 10` where runs differ."""
    return " to ".join(f"{end:,}" for end in sorted({*values[:1], *values[-1:]}))


def lead(findings: Findings) -> list[str]:
    """At most two sentences: the growth told as growth, and how far training went."""
    others = "; ".join(claims(findings)[CLAIMS_IN_TITLE:])
    early = "" if is_across(findings) else _early(findings)
    told = (f"{names.title(others)}." if others else "", _noise(findings), early)
    return [text for text in told if text]


def _noise(findings: Findings) -> str:
    """The growth with and without each path; where none was cut, what the formula predicts."""
    name = leading(findings)
    n = longest(findings, name)
    if n < 2:
        return ""
    published, left = _paper_growth(findings, name), cuts(findings, name)
    if not len(left):
        predicted = factor(paper_formula(findings, name)[1][-1])
        whose = f"The paper measured {published}; its" if published else "The paper's"
        return f"{whose} formula predicts {predicted}, the number of steps alone {n}×."
    growth = spread(findings, name)["growth"].iloc[-1]
    left = left.set_index("cut")["growth"]
    without = " and ".join(f"{factor(left[code])} {_CUTS[code]}" for code in _CUTS if code in left)
    whole = factor(growth).removesuffix("×") + (f" (paper: {published})" if published else "")
    where = f"in {names.configuration(name)} " if is_across(findings) else ""
    told = f"{where}{names.number(n)} inner steps multiply the noise by {whole}"
    return f"{names.title(told)}; it is {without}."


def _paper_growth(findings: Findings, name: str) -> str:
    """The growth that the paper measured at the longest horizon, `8.6 ± 2.1`; empty if none."""
    row = spread(findings, name).iloc[-1]
    paper = row.get("published", math.nan)
    return f"{paper:g} ± {row['published_deviation']:g}" if paper > 0 else ""


def _early(findings: Findings) -> str:
    """How far training went, with the paper's return beside it where that is far off."""
    headline = str(findings.about.get("headline", ""))
    if len(findings.configurations) > 1 and not measured(findings):
        return _by_configuration(rows(findings, "final", series=headline))
    ends = rows(findings, "final", series=headline, configuration=leading(findings))
    if not any(map(math.isfinite, column(ends, "final"))):
        return f"{names.title(scale(findings))}." if findings.kind == "run" else ""
    final, paper = column(ends, "final")[0], column(ends, "published")[0]
    metric = names.parameter(headline)
    if math.isfinite(paper) and not paper / _FAR < final < paper * _FAR:
        return f"Early training only: {metric} {plain(final, digits=2)}, paper {paper:g}."
    seeds = findings.scale.get("seeds", 1)
    runs = f"{names.number(seeds)} seed{'s' if seeds > 1 else ''}"
    return f"{metric.capitalize()} {plain(final, digits=2)} at the end, {runs}."


def _by_configuration(ends: Frame) -> str:
    """What training ended with, where several are compared; of more than six it is in a table."""
    known = ends[ends["final"].notna()] if len(ends) else ends
    told = [
        f"{names.configuration(end['configuration'])} {plain(end['final'])}"
        for end in known.to_dict("records")
    ]
    if not told or len(told) > _MOST_ENDS:
        return ""
    metric = names.title(names.parameter(known["series"].iloc[0]))
    return f"{metric} at the end: {'; '.join(told)}."


def cards(findings: Findings) -> list[Card]:
    """Growth, cuts and the paper's prediction; where none is measured, what training ended with."""
    name = leading(findings)
    if len(rows(findings, "claims")):
        return list(_slopes(findings))
    if longest(findings, name) > 1:
        return [_growth(findings, name), *_without(findings, name), *_formula(findings, name)]
    return list(_final(findings))[:_MOST]


def _growth(findings: Findings, name: str) -> Card:
    row, paper = spread(findings, name).iloc[-1], _paper_growth(findings, name)
    whose = f" ({names.configuration(name)})" if len(findings.configurations) > 1 else ""
    beside = f" · paper {paper}" if paper else ""
    detail = f"{interval(row['growth_low'], row['growth_high'])}{beside}"
    return Card(f"noise at n = {row['horizon']}{whose}", factor(row["growth"]), detail)


def _without(findings: Findings, name: str) -> Iterator[Card]:
    """A card per path that was cut, or what would cut them."""
    left = cuts(findings, name)
    if not len(left):
        own = findings.about.get("own_loop")
        needs = 'counterfactuals="all"' if own else "--counterfactuals all"
        yield Card("without memory, without Hessian", "not measured", f"needs {needs}")
        return
    for code, label in _CUTS.items():
        for row in left[left["cut"] == code].to_dict("records"):
            is_less = row["removed"] > _LESS
            is_part = is_less and code == "no-memory"
            words = f" · {part(findings, name)} of log-growth" if is_part else ""
            detail = f"{interval(row['growth_low'], row['growth_high'])}{words}"
            tone = "" if math.isnan(row["removed"]) else "good" if is_less else "bad"
            yield Card(label, factor(row["growth"]), detail, tone)


def _formula(findings: Findings, name: str) -> Iterator[Card]:
    """What the paper's formula predicts, with the largest spectral radius."""
    _, predicted = paper_formula(findings, name)
    if predicted.size:
        radii = rows(findings, "curvature", configuration=name, when="all", operator="paper, I + H")
        n = longest(findings, name)
        largest = [f"ρ − 1 ≤ {plain(value, digits=2)}" for value in column(radii, "largest")[:1]]
        detail = " · ".join([f"{n} steps alone: {n}×", *largest])
        yield Card("paper's formula predicts", factor(predicted[-1]), detail)


def _slopes(findings: Findings) -> Iterator[Card]:
    """What is claimed of slopes, a card each."""
    tones = {HOLDS: "good", FAILS: "bad"}
    for asked in answers(findings, "slope"):
        if "slope" in asked.numbers:
            value, low, high, *_ = dataclasses.astuple(asked.numbers["slope"])
            label, tone = asked.configuration, tones.get(asked.status, "")
            yield Card(label, plain(value, digits=2), f"slope, {interval(low, high)}", tone)


def _final(findings: Findings) -> Iterator[Card]:
    """What training ended with, a card per configuration."""
    headline = findings.about.get("headline", "")
    ends = rows(findings, "final", series=headline)
    papers, pairs = column(ends, "published"), rows(findings, "paired", series=headline)
    if len(pairs) and not np.isfinite(papers).any():
        yield from map(_pair, pairs.to_dict("records"))
        return
    for code, paper, *final in zip(
        ends.get("configuration", ()), papers, *bounds(ends, "final"), strict=True
    ):
        beside = f" · paper {paper:.4g}" if paper == paper else ""
        label = f"{names.parameter(headline)}, {names.configuration(code)}"
        yield Card(label, plain(final[0]), f"{interval(*final[1:])}{beside}")


def _pair(pair: Mapping[str, Any]) -> Card:
    """What a setting changes."""
    ends = pair["difference"], pair["difference_low"], pair["difference_high"]
    _, old = setting_values(pair)
    where = names.configuration(pair["configuration"])
    tone = "good" if ends[1] > 0 else "bad" if ends[2] < 0 else ""
    label = f"{names.parameter(pair['series'])}, {where} minus {old}"
    return Card(label, plain(ends[0], digits=2), interval(*ends[1:]), tone)


def notes(findings: Findings) -> list[str]:
    """What is wrong or not finished."""
    runs = findings.cells.to_dict("records")
    told = [f"{r['cell'] or findings.name}: {r['message']}" for r in runs if r.get("message")]
    waiting = sum(run["state"] != "finished" for run in runs)
    if waiting:
        told.append(
            f"{waiting} of {len(runs)} runs are not finished; this page shows what there is."
        )
    return told


def limits(findings: Findings) -> list[str]:
    """Five lines at the most of what the numbers cannot say."""
    provenance, level = findings.provenance, f"{100 * findings.confidence:g} %"
    units = "seeds" if findings.scale.get("seeds", 1) > 1 else "samples and probes of one run"
    units = units if findings.scale.get("iterations") else "samples"
    asked = [a for a in findings.verdict if a.needs and a.configuration == leading(findings)]
    early = "" if is_across(findings) else _early(findings)
    lines = [f"{names.title(scale(findings))}; {level} intervals over {units}.", early]
    for answer in asked[:2]:
        question = templates()[answer.question]["question"]
        lines.append(f"{question} Undecided. Would take about {wanted(answer)}.")
    lines.append(
        f"Computed in {provenance.get('precision', 'unknown precision')} on "
        f"{provenance.get('device', 'an unknown device')}; {len(findings.choices)} choices are "
        "ours, listed below."
    )
    return list(dict.fromkeys(filter(None, lines)))[:5]
