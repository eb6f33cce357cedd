"""The cards under the title: the few numbers that answer first."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.numbers import factor, interval, plain
from hessdiag.report.select import column, cuts, longest, paper_formula, rows, spread
from hessdiag.report.words import leading, part

_CUTS = {"no-hessian": "without the Hessian path", "no-memory": "without the optimiser's memory"}
_MOST = 4


class Card(NamedTuple):
    """One number: what it is, its interval, and a "good" or "bad" tone if it differs much."""

    label: str
    value: str
    detail: str = ""
    tone: str = ""


def cards(findings: Findings) -> list[Card]:
    """Growth, cuts and the paper's prediction; where none is measured, what training ended with."""
    name = leading(findings)
    if longest(findings, name) > 1:
        return [_growth(findings, name), *_without(findings, name), *_paper(findings, name)]
    return list(_final(findings))[:_MOST]


def _growth(findings: Findings, name: str) -> Card:
    row = spread(findings, name).iloc[-1]
    several = len(findings.configurations) > 1
    whose = f" ({names.configuration(name)})" if several else ""
    paper = row.get("published", math.nan)
    beside = f" · paper {paper:g} ± {row['published_deviation']:g}" if paper == paper else ""
    detail = f"{interval(row['growth_low'], row['growth_high'])}{beside}"
    return Card(f"noise at n = {row['horizon']}{whose}", factor(row["growth"]), detail)


def _without(findings: Findings, name: str) -> Iterator[Card]:
    found = cuts(findings, name)
    for code, label in _CUTS.items():
        row = found[found["cut"] == code] if len(found) else found
        if not len(row):
            continue
        value, low, high, removed = (
            column(row, key)[0] for key in ("growth", "growth_low", "growth_high", "removed")
        )
        is_less = removed > 0.15
        is_part = is_less and code == "no-memory"
        words = f" · {part(findings, name)} of log-growth" if is_part else ""
        tone = "good" if is_less else "bad"
        yield Card(label, factor(value), f"{interval(low, high)}{words}", tone)
    if not len(found):
        missing = "needs --counterfactuals all"
        yield Card("without memory, without Hessian", "not measured", missing)


def _paper(findings: Findings, name: str) -> Iterator[Card]:
    _, predicted = paper_formula(findings, name)
    if not predicted.size:
        return
    radii = rows(findings, "curvature", configuration=name, when="all", operator="paper, I + H")
    n = longest(findings, name)
    detail = f"{n} steps alone: {n}×"
    if len(radii):
        detail += f" · ρ − 1 ≤ {plain(column(radii, 'largest')[0], digits=2)}"
    yield Card("paper's formula predicts", factor(predicted[-1]), detail)


def _final(findings: Findings) -> Iterator[Card]:
    headline = findings.about.get("headline", "")
    found = rows(findings, "final", series=headline)
    for row in found.to_dict("records"):
        paper = row.get("published", math.nan)
        beside = f" · paper {paper:g}" if paper is not None and paper == paper else ""
        label = f"{names.parameter(headline)}, {names.configuration(row['configuration'])}"
        yield Card(
            label, plain(row["final"]), f"{interval(row['final_low'], row['final_high'])}{beside}"
        )
