"""Empty figures in the house's look, and axes fit for eigenvalues.

No global state of matplotlib is touched: `styled` holds for a block only.
"""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
)

from hessdiag.report.figures.palette import GRID, INK, MUTED, PAPER
from hessdiag.report.numbers import power_tick, tick

_DOTS_PER_INCH = 110
_ROWS_BELOW = 6  # of a legend, for which the panels leave room
_ROW_HEIGHT = 0.18  # inches


@dataclass(frozen=True)
class Layout:
    """How much room a figure has.

    Attributes:
        width: Inches.
        narrow: Whether panels are stacked rather than set side by side.
    """

    width: float
    narrow: bool


WIDE = Layout(width=9.2, narrow=False)
NARROW = Layout(width=3.75, narrow=True)


@contextmanager
def styled(slug: str) -> Iterator[None]:
    """Matplotlib settings for drawing and saving one figure.

    Args:
        slug: The figure's name; it makes the ids in its SVG its own and repeatable.

    Yields:
        Nothing.
    """
    settings = {
        "svg.hashsalt": slug,
        "svg.fonttype": "none",
        "font.family": ["DejaVu Sans"],
        "font.size": 8.5,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 8.5,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.facecolor": "none",
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "legend.handlelength": 2.8,
        "lines.linewidth": 1.5,
        "lines.markersize": 4,
        "errorbar.capsize": 0,
        "figure.facecolor": PAPER,
        "figure.constrained_layout.h_pad": 0.06,
        "figure.constrained_layout.w_pad": 0.06,
        "path.simplify": True,
    }
    with mpl.rc_context(settings):  # pyright: ignore[reportArgumentType]
        yield


def panels(
    layout: Layout,
    count: int,
    *,
    columns: int = 3,
    height: float = 2.5,
    narrow_columns: int = 1,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure with a number of equal panels.

    Args:
        layout: How much room there is.
        count: How many panels.
        columns: Panels side by side where there is room.
        height: Of one panel, in inches.
        narrow_columns: Panels side by side where there is little room.
        sharex: Whether all panels have one horizontal axis.
        sharey: Whether all panels have one vertical axis.

    Returns:
        The figure and its panels, row by row.
    """
    across = min(count, narrow_columns if layout.narrow else columns)
    down = math.ceil(count / across)
    figure = Figure(figsize=(layout.width, height * down + 0.25), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=sharex, sharey=sharey)
    axes = list(grid.ravel())
    for spare in axes[count:]:
        spare.remove()
    for axis in axes[:count]:
        axis.tick_params(labelbottom=True, labelleft=True)
    return figure, axes[:count]


def legend_below(figure: Figure, axis: Axes, *, layout: Layout, columns: int = 4) -> None:
    """One legend for the whole figure, under the panels.

    Args:
        figure: The figure.
        axis: The panel whose labelled artists are listed.
        layout: How much room there is.
        columns: Entries side by side where there is room.
    """
    handles, names = axis.get_legend_handles_labels()
    if handles:
        fitting = 2 if max(map(len, names)) < 20 else 1
        across = fitting if layout.narrow else min(columns, len(handles))
        beyond = max(math.ceil(len(handles) / across) - _ROWS_BELOW, 0)
        figure.set_figheight(figure.get_figheight() + _ROW_HEIGHT * beyond)
        figure.legend(handles, names, loc="outside lower left", ncols=across)


def iteration_axis(axis: Axes, *, ticks: int = 5) -> None:
    """Label a horizontal axis of training iterations, with about so many ticks."""
    axis.set_xlabel("training iteration")
    axis.xaxis.set_major_locator(MaxNLocator(nbins=ticks, integer=True))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def linear_axis(axis: Axes, which: str) -> None:
    """A linear axis with plain labels; `which` is "x" or "y"."""
    side = getattr(axis, f"{which}axis")
    side.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    side.set_major_formatter(FuncFormatter(tick))


def log_axis(axis: Axes, which: str) -> None:
    """A logarithmic axis with plain labels; linear where nothing positive is shown."""
    shared = getattr(axis, f"get_shared_{which}_axes")().get_siblings(axis)
    if not any(np.isfinite(getattr(one.dataLim, f"minpos{which}")) for one in shared):
        linear_axis(axis, which)
        return
    getattr(axis, f"set_{which}scale")("log")
    side = getattr(axis, f"{which}axis")
    low, high = getattr(axis, f"get_{which}lim")()
    decades = math.log10(high / low) if low > 0 else 1.0
    label = power_tick if decades > 3 else tick
    if decades < 1:
        side.set_major_locator(MaxNLocator(nbins=5))
    else:
        marks = (1.0, 2.0, 5.0) if decades < 2 else (1.0,)
        side.set_major_locator(LogLocator(base=10, subs=marks, numticks=8))
    side.set_major_formatter(FuncFormatter(label))
    side.set_minor_locator(NullLocator())


def signed_axis(axis: Axes, which: str, values: np.ndarray, *, width: float | None = None) -> None:
    """An axis for values of both signs: linear near zero, logarithmic beyond.

    It stays linear where the values span less than about two decades.

    Args:
        axis: The panel.
        which: "x" or "y".
        values: Everything that the axis shows.
        width: Where the linear part ends; by default the tenth percentile of the sizes.
    """
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not sizes.size or (width is None and sizes.max() < 100 * np.quantile(sizes, 0.1)):
        linear_axis(axis, which)
        return
    width = float(np.quantile(sizes, 0.1)) if width is None else width
    exponent = math.floor(math.log10(width))
    getattr(axis, f"set_{which}scale")("symlog", linthresh=10.0**exponent, linscale=0.6)
    side = getattr(axis, f"{which}axis")
    low, high = getattr(axis, f"get_{which}lim")()
    side.set_major_locator(FixedLocator(signed_decades(low, high, exponent)))
    side.set_minor_locator(NullLocator())
    side.set_major_formatter(FuncFormatter(power_tick))


def signed_decades(low: float, high: float, first: int, *, most: int = 7) -> list[float]:
    """Zero and powers of ten of either sign that lie between two values.

    Args:
        low: Lower end of the axis.
        high: Upper end of the axis.
        first: Exponent of the smallest power.
        most: About how many ticks there may be.

    Returns:
        The ticks in increasing order.
    """
    top = max(abs(low), abs(high), 10.0**first)
    last = math.floor(math.log10(top))
    sides = (low < 0) + (high > 0)
    stride = max(1, math.ceil(sides * (last - first + 1) / most))
    powers = [10.0**exponent for exponent in range(last, first - 1, -stride)]
    ticks = [-p for p in powers] + [0.0] + powers[::-1]
    return [value for value in ticks if low <= value <= high]


def thin(count: int, *, most: int) -> np.ndarray:
    """At most `most` indices out of `count`, evenly spread, ends included."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def saved(figure: Figure, kind: str) -> bytes:
    """The bytes of a figure; the same figure gives the same bytes.

    Args:
        figure: The figure; its layout is settled by the first call.
        kind: "png" or "svg".

    Returns:
        The file's content.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)  # once, not again for every format
        figure.set_layout_engine("none")
    stream = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(stream, format=kind, dpi=_DOTS_PER_INCH, metadata=metadata)
    return stream.getvalue()
