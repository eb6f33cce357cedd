"""What a page says of its scale and of its limits."""

import math
from collections.abc import Sequence

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.numbers import factor, plain
from hessdiag.report.select import Frame, column, cuts, longest, paper_formula, rows, spread
from hessdiag.report.words import leading, needed, templates

_FAR = 2.0  # from a factor of the published value on, it is said in the lead


def kicker(findings: Findings) -> str:
    """What this is, in one line."""
    problem = str(findings.about.get("summary", "")).partition(";")[0]
    parts = (f"hessdiag {findings.kind}", findings.name, problem, scale(findings))
    return " · ".join(filter(None, parts))


def scale(findings: Findings) -> str:
    """Seeds, iterations, probes and samples."""
    held = findings.scale
    iterations, points, samples = (
        _range(held.get(k, ())) for k in ("iterations", "points", "samples")
    )
    words = [f"{held['seeds']} seeds" if held.get("seeds", 1) > 1 else "1 seed"]
    words.append(f"{iterations} iterations")
    if points not in ("0", ""):
        words.append(f"{points} {'probe' if points == '1' else 'probes'} a run, K = {samples}")
    return ", ".join(words)


def _range(values: Sequence[int]) -> str:
    """`5`, or `5 to 10` where runs differ."""
    return " to ".join(f"{end:,}" for end in sorted({*values[:1], *values[-1:]}))


def lead(findings: Findings) -> list[str]:
    """At most two sentences: the growth told as growth, and how far training went."""
    return [text for text in (_noise(findings), _early(findings)) if text]


def _noise(findings: Findings) -> str:
    """The growth with and without each path; where none was cut, what the formula predicts."""
    name = leading(findings)
    n = longest(findings, name)
    if n < 2:
        return ""
    row, found = spread(findings, name).iloc[-1], cuts(findings, name)
    paper = row.get("published", math.nan)
    published = f" (paper: {paper:g} ± {row['published_deviation']:g})" if paper > 0 else ""
    if not len(found):
        predicted = factor(paper_formula(findings, name)[1][-1])
        whose = f"The paper measured {published[9:-1]}; its" if published else "The paper's"
        return f"{whose} formula predicts {predicted}, the number of steps alone {n}×."
    left = found.set_index("cut")["growth"]
    shown = [code for code in ("no-hessian", "no-memory") if code in left]
    without = " and ".join(f"{factor(left[code])} {names.cut(code)}" for code in shown)
    steps, growth = names.title(names.number(n)), factor(row["growth"]).removesuffix("×")
    return f"{steps} inner steps multiply the noise by {growth}{published}; it is {without}."


def _early(findings: Findings) -> str:
    """How far training went, with the paper's return beside it where that is far off."""
    headline = str(findings.about.get("headline", ""))
    found = rows(findings, "final", series=headline, configuration=leading(findings))
    if not len(found):
        return f"{names.title(scale(findings))}." if findings.kind == "run" else ""
    final, paper = column(found, "final")[0], column(found, "published")[0]
    metric = names.parameter(headline)
    if math.isfinite(paper) and not paper / _FAR < final < paper * _FAR:
        return f"Early training only: {metric} {plain(final, digits=2)}, paper {paper:g}."
    seeds = findings.scale.get("seeds", 1)
    runs = f"{names.number(seeds)} seed{'s' if seeds > 1 else ''}"
    return f"{metric.capitalize()} {plain(final, digits=2)} at the end, {runs}."


def notes(findings: Findings) -> list[str]:
    """What is wrong or not finished."""
    cells: Frame = findings.cells
    if not len(cells):
        return []
    found = [
        f"{row['cell'] or findings.name}: {row['message']}"
        for row in cells.to_dict("records")
        if row.get("message")
    ]
    waiting = int((cells["state"] != "finished").sum())
    if waiting:
        found.append(
            f"{waiting} of {len(cells)} runs are not finished; this page shows what there is."
        )
    return found


def limits(findings: Findings) -> list[str]:
    """Five lines at the most of what the numbers cannot say."""
    provenance, level = findings.provenance, f"{100 * findings.confidence:g} %"
    units = "seeds" if findings.scale.get("seeds", 1) > 1 else "samples and probes of one run"
    lines = [f"{names.title(scale(findings))}; {level} intervals over {units}.", _early(findings)]
    open_ = [a for a in findings.verdict if a.needs and a.configuration == leading(findings)]
    asked = [f"{templates()[a.question]['question']} Undecided.{needed(a)}" for a in open_]
    lines += asked[:2]
    lines.append(
        f"Computed in {provenance.get('precision', 'unknown precision')} on "
        f"{provenance.get('device', 'an unknown device')}; {len(findings.choices)} choices are "
        "ours, listed below."
    )
    return list(dict.fromkeys(filter(None, lines)))[:5]
