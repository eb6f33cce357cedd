"""What carries the noise: growth with each path cut, and shares of the variance by source."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import (
    dots_with_bars,
    factor_axis,
    legend,
    linear_axis,
    named_rows,
    panels,
)
from hessdiag.report.figures.looks import MARKERS, colours
from hessdiag.report.figures.palette import MUTED
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.select import column, cuts, rows


def sources(findings: Findings) -> FigureSpec | None:
    """All cuts and all sources, a colour per configuration."""
    cut = {
        code: found for code in findings.configurations if len(found := cuts(findings, code)) > 1
    }
    share = rows(findings, "sources", when="all")
    if not cut and not len(share):
        return None
    return FigureSpec(
        slug="sources",
        title="What carries the noise",
        caption=(
            "Growth at the longest horizon with a path of the derivative cut; shares of the "
            "variance by where randomness enters. Estimates of shares are unbiased and may leave "
            "0 to 100 %."
        ),
        rows=[row for found in (*cut.values(), share) for row in found.to_dict("records")],
        draw=lambda: _draw(findings, cut, share),
    )


def _draw(findings: Findings, cut, share) -> Figure:
    figure, axes = panels(bool(cut) + bool(len(share)), height=3.3)
    if cut:
        codes = list(dict.fromkeys(code for found in cut.values() for code in found["cut"]))
        _draw_rows(axes[0], findings, cut, "cut", codes, "growth", [names.cut(c) for c in codes])
        held = [column(found, key) for found in cut.values() for key in ("growth", "growth_low")]
        factor_axis(axes[0], "x", np.concatenate([*held, np.ones(1)]))
        axes[0].set_title("Noise relative to one step")
    if len(share):
        by_name = {c: share[share["configuration"] == c] for c in findings.configurations}
        codes = list(dict.fromkeys(share["source"]))
        _draw_rows(axes[-1], findings, by_name, "source", codes, "share", codes)
        linear_axis(axes[-1], "x")
        axes[-1].set_xlim(-0.6, 1.6)
        for end in (0.0, 1.0):
            axes[-1].axvline(end, color=MUTED, linewidth=0.9, zorder=1)
        axes[-1].set_title("Share of the variance")
    if len(findings.configurations) > 1:
        legend(axes[0], below=4)
    return figure


def _draw_rows(axis: Axes, findings, found, key: str, codes, value: str, labels) -> None:
    looks = colours(findings.configurations)
    for place, (configuration, held) in enumerate(found.items()):
        shift = 0.5 * ((place + 0.5) / len(found) - 0.5)
        y = np.array([codes.index(code) for code in held[key]]) + shift
        ends = (column(held, f"{value}{end}") for end in ("", "_low", "_high"))
        middle, low, high = ends
        look = {
            "marker": MARKERS[place % len(MARKERS)],
            "label": names.configuration(configuration),
        }
        dots_with_bars(axis, middle, y, low, high, colour=looks[configuration], **look)
    named_rows(axis, labels)
