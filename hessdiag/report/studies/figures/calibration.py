"""Measured against predicted growth, explanation by explanation."""

import numpy as np
from matplotlib.figure import Figure

from hessdiag.report.figures.canvas import Layout, legend_below, log_axis, panels
from hessdiag.report.figures.palette import MUTED
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.studies.data import Row, StudyData, distinct, values
from hessdiag.report.studies.figures.looks import colours

_ROOM = 1.15  # beyond the outermost points


def _rows(data: StudyData) -> list[Row]:
    return data.rows("comparisons", estimator="n-step")


def _caption(data: StudyData) -> str:
    horizons = sorted({row["horizon"] for row in _rows(data)})
    return (
        f"One point per probe and horizon, of the horizons kept: {', '.join(map(str, horizons))}; "
        f"the CSV has those of the mixes, too. Bars: {data.confidence} intervals of the measured "
        "growth, over the samples of its probe. Dashed: prediction equals measurement. An "
        "explanation that holds has its points on the line, for all configurations; one whose "
        "points lie in a column predicts the same whatever is measured."
    )


def _draw(data: StudyData, layout: Layout) -> Figure:
    rows = _rows(data)
    names = distinct(rows, "explanation")
    look = colours(distinct(rows, "configuration"))
    sides = np.concatenate([values(rows, "predicted"), values(rows, "measured")])
    limits = (np.nanmin(sides) / _ROOM, np.nanmax(sides) * _ROOM)
    figure, axes = panels(layout, len(names), height=2.7)
    for axis, name in zip(axes, names, strict=True):
        for configuration, colour in look.items():
            at = [
                r for r in rows if (r["explanation"], r["configuration"]) == (name, configuration)
            ]
            x, y = values(at, "predicted"), values(at, "measured")
            axis.scatter(x, y, s=9, color=colour, alpha=0.7, label=configuration or "all runs")
            axis.plot(*_bars(at), color=colour, alpha=0.25, linewidth=0.8)
        axis.plot(limits, limits, color=MUTED, linestyle=(0, (4, 3)), linewidth=0.9, zorder=1)
        axis.set(xlim=limits, ylim=limits, xlabel="predicted growth", ylabel="measured growth")
        log_axis(axis, "x")
        log_axis(axis, "y")
        axis.set_title(name, fontsize=8)
    legend_below(figure, axes[0], layout=layout, columns=3)
    return figure


def _bars(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """The intervals of the measured growth as one broken line, which is small in a file."""
    ends = [values(rows, f"measured_{end}") for end in ("low", "high")]
    gap = np.full(len(rows), np.nan)
    return np.repeat(values(rows, "predicted"), 3), np.stack([*ends, gap], axis=1).ravel()


CALIBRATION = FigureSpec(
    slug="calibration",
    title="Growth of n-step meta-gradients against what each explanation predicts",
    caption=_caption,
    available=lambda data: bool(_rows(data)),
    rows=lambda data: data.rows("comparisons"),
    draw=_draw,
)
