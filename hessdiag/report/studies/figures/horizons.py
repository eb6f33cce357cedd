"""What changes with the horizon: growth of n-step and mix, signal to noise, bias and deviation."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hessdiag.report.figures.canvas import Layout, legend_below, linear_axis, log_axis, panels
from hessdiag.report.figures.palette import CATEGORIES, INK, MUTED
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.studies.data import Row, StudyData, distinct, intervals, values
from hessdiag.report.studies.figures.looks import line_with_band, panel_title

_ALL = "all"
_LOOKS = {
    "n-step": {"colour": INK, "marker": "o", "markersize": 3},
    "mix": {"colour": CATEGORIES[0], "marker": "s", "markersize": 3},
    "mix if independent": {"colour": MUTED, "linestyle": (0, (4, 3)), "linewidth": 1.0},
    "mix if coherent": {"colour": MUTED, "linestyle": (0, (1, 2)), "linewidth": 1.0},
}


def _mixing(data: StudyData) -> list[Row]:
    rows = data.rows("mixing", when=_ALL)
    return rows if any(row["horizon"] > 1 for row in rows) else []


def _signal(data: StudyData) -> list[Row]:
    rows = data.rows("spread", when=_ALL, group="all")
    return rows if any(row["horizon"] > 1 for row in rows) else []


def _tradeoff(data: StudyData) -> list[Row]:
    rows = [row for row in data.rows("spread", when=_ALL) if row.get("bias") is not None]
    return rows if any(row["horizon"] > 1 for row in rows) else []


def _curves(axis: Axes, rows: list[Row], *, by: str, value: str) -> None:
    for name in distinct(rows, by):
        at = sorted((r for r in rows if r[by] == name), key=lambda row: row["horizon"])
        ends = (values(at, f"{value}{end}") for end in ("", "_low", "_high"))
        line_with_band(axis, values(at, "horizon"), *ends, label=name, **_LOOKS[name])
    axis.set_xlabel("horizon n")
    axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _by_configuration(
    rows: list[Row], layout: Layout, *, by: str, value: str, label: str, logarithmic: bool
) -> Figure:
    configurations = distinct(rows, "configuration")
    figure, axes = panels(layout, len(configurations), height=2.8, sharey=True)
    for axis, configuration in zip(axes, configurations, strict=True):
        at = [row for row in rows if row["configuration"] == configuration]
        _curves(axis, at, by=by, value=value)
        axis.set_title(panel_title(configuration))
    (log_axis if logarithmic else linear_axis)(axes[0], "y")
    axes[0].set_ylabel(label)
    legend_below(figure, axes[0], layout=layout, columns=4)
    return figure


def _draw_tradeoff(data: StudyData, layout: Layout) -> Figure:
    rows = _tradeoff(data)
    places = [(c, g) for c in distinct(rows, "configuration") for g in distinct(rows, "group")]
    figure, axes = panels(layout, 2 * len(places), columns=2, height=2.6)
    for k, (configuration, group) in enumerate(places):
        at = [r for r in rows if (r["configuration"], r["group"]) == (configuration, group)]
        for axis, value in zip(axes[2 * k : 2 * k + 2], ("bias", "std"), strict=True):
            _curves(axis, at, by="estimator", value=value)
            if value == "bias":
                floor = sorted(
                    (r for r in at if r["estimator"] == "n-step"), key=lambda row: row["horizon"]
                )
                x, y = values(floor, "horizon"), values(floor, "bias_floor")
                axis.plot(x, y, color=MUTED, linewidth=0.8, label="Monte-Carlo floor, taken off")
            linear_axis(axis, "y")
            axis.set_ylabel(value)
            axis.set_title(" ".join(filter(None, (configuration, group))))
    legend_below(figure, axes[0], layout=layout, columns=3)
    return figure


MIXING = FigureSpec(
    slug="mixing",
    title="Growth of n-step meta-gradients and of their mixes",
    caption=lambda data: (
        "Standard deviation over that of one step, averaged over the meta-parameters and over "
        "training. Dashed: what the mix would have if the noise of the horizons that it averages "
        f"were independent; dotted: if it were one and the same. Bands: "
        f"{intervals(_mixing(data), data.confidence)}."
    ),
    available=lambda data: bool(_mixing(data)),
    rows=lambda data: data.rows("mixing"),
    draw=lambda data, layout: _by_configuration(
        _mixing(data),
        layout,
        by="curve",
        value="growth",
        label="std relative to 1 step",
        logarithmic=True,
    ),
)

SIGNAL = FigureSpec(
    slug="signal",
    title="Signal to noise of a single meta-gradient",
    caption=lambda data: (
        "Root mean square, over the meta-parameters and over training, of the mean over the "
        "standard deviation, with what sampling noise adds taken off. A horizon that is noisier "
        f"but also larger loses nothing by it. Bands: "
        f"{intervals(_signal(data), data.confidence)}."
    ),
    available=lambda data: bool(_signal(data)),
    rows=lambda data: data.rows("spread", group="all"),
    draw=lambda data, layout: _by_configuration(
        _signal(data),
        layout,
        by="estimator",
        value="signal",
        label="signal to noise",
        logarithmic=False,
    ),
)

TRADEOFF = FigureSpec(
    slug="bias-and-deviation",
    title="Bias and standard deviation, averaged over training",
    caption=lambda data: (
        "Root mean square of the distance in the mean to the n-step meta-gradient of the longest "
        "horizon, with the Monte-Carlo floor taken off, and standard deviation; per unit of η, "
        "averaged over each group of meta-parameters and, as a logarithm, over training. "
        f"Bands: {intervals(_tradeoff(data), data.confidence)}."
    ),
    available=lambda data: bool(_tradeoff(data)),
    rows=_tradeoff,
    draw=_draw_tradeoff,
)
