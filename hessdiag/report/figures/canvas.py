"""What figures are drawn with: panels in the house's look, their axes, bands, bars and labels.

No global state of matplotlib is touched: `styled` holds for a block only.
"""

import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    Locator,
    LogLocator,
    MaxNLocator,
    NullLocator,
)

from hessdiag.report.figures.palette import MUTED
from hessdiag.report.numbers import power_tick, tick
from hessdiag.report.select import Bounds

STYLE = Path(__file__).with_name("house.mplstyle")
_DOTS_PER_INCH = 110
_LABEL_GAP = 16.0  # pixels between the middles of two names

Box = tuple[float, float, float, float]  # left, top, width and height of a panel, in points
Group = tuple[dict[str, Any], Iterable[str], Bounds]  # a look, codes of rows, and their values


@contextmanager
def styled(slug: str) -> Iterator[None]:
    """Matplotlib settings for drawing and saving one figure."""
    with mpl.rc_context({"svg.hashsalt": slug}, fname=STYLE):
        yield


def panels(
    count: int, *, columns: int = 2, height: float = 2.9, width: float = 9.6
) -> tuple[Figure, list[Axes]]:
    """A figure of `width` inches with equal panels; a page may set them in other rows."""
    across = min(count, columns)
    down = math.ceil(count / across)
    figure = Figure(figsize=(width * across / columns, height * down), layout="constrained")
    grid = figure.subfigures(down, across, squeeze=False)
    return figure, [part.subplots() for part in list(grid.ravel())[:count]]


def boxes(figure: Figure) -> list[Box]:
    """The places of all panels, from the upper left corner."""
    wide, high = 72 * figure.get_size_inches()
    held = [part for part in figure.subfigs if part.axes]
    if not held:
        return [(0.0, 0.0, wide, high)]
    ends = [part.bbox.transformed(figure.transFigure.inverted()) for part in held]
    return [(b.x0 * wide, (1 - b.y1) * high, b.width * wide, b.height * high) for b in ends]


def direct_labels(axis: Axes, x: float, labels: Sequence[tuple[float, str, str]]) -> None:
    """(height, text, colour) beside the ends of lines at x, moved apart where they would touch."""
    shown = sorted((label for label in labels if np.isfinite(label[0])), key=lambda label: label[0])
    left = axis.transData.transform((x, 1.0))[0]
    heights = np.array([axis.transData.transform((x, y))[1] for y, _, _ in shown])
    gap = min(_LABEL_GAP, axis.bbox.height / max(len(shown), 1))
    stacked = gap * np.arange(len(shown))
    lowest = np.minimum(np.maximum.accumulate(heights - stacked), axis.bbox.y1 - stacked[-1:])
    for height, (_, text, colour) in zip(lowest + stacked, shown, strict=True):
        y = axis.transData.inverted().transform((left, height))[1]
        axis.text(x, y, text, color=colour, va="center", ha="left", clip_on=False)


def line_with_band(axis: Axes, x: np.ndarray, bounds: Bounds, **look: Any) -> None:
    """A curve with its interval, which is left out where it is not known."""
    value, low, high = bounds
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        band = {"color": look["color"], "alpha": 0.16, "linewidth": 0}
        axis.fill_between(x, low, high, where=known, **band)
    axis.plot(x, value, **look)


def apart(count: int, width: float) -> np.ndarray:
    """Shifts that set so many things apart over a width around zero."""
    return width * ((np.arange(count) + 0.5) / count - 0.5)


def dots_in_rows(
    axis: Axes, rows: Mapping[str, str], groups: Sequence[Group], *, width: float = 0.6
) -> None:
    """Groups of dots, set apart over a width, in rows with names by code; intervals if known."""
    places, shifts = {code: place for place, code in enumerate(rows)}, apart(len(groups), width)
    for shift, (look, codes, (value, low, high)) in zip(shifts, groups, strict=True):
        y = np.array([places[code] for code in codes]) + shift
        known = np.isfinite(low) & np.isfinite(high)
        axis.hlines(y[known], low[known], high[known], colors=look["color"], linewidth=1.4)
        axis.plot(value, y, linestyle="", **look)
    named_rows(axis, list(rows.values()))


def named_rows(axis: Axes, names: Sequence[str]) -> None:
    """A vertical axis of names, the first on top."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)


def legend(axis: Axes, *, below: int = 0) -> None:
    """A legend of what is named in a panel, or below it with so many names side by side."""
    handles, names = axis.get_legend_handles_labels()
    if handles and below:
        axis.figure.legend(handles, names, loc="outside lower left", ncols=below)
    elif handles:
        axis.legend()


def rule(axis: Axes, which: str, place: float, **look: Any) -> None:
    """A thin line across the panel at a place of the "x" or of the "y" axis."""
    draw = axis.axvline if which == "x" else axis.axhline
    draw(place, **({"color": MUTED, "linewidth": 0.9, "zorder": 1} | look))


def set_ticks(axis: Axes, which: str, locator: Locator, text: Callable[..., str] = tick) -> None:
    """Major ticks alone, with their labels."""
    side = getattr(axis, f"{which}axis")
    side.set_major_locator(locator)
    side.set_minor_locator(NullLocator())
    side.set_major_formatter(FuncFormatter(text))


def iteration_axis(axis: Axes, *, ticks: int = 5) -> None:
    """Label a horizontal axis of training iterations, with about so many ticks."""
    axis.set_xlabel("training iteration")
    locator = MaxNLocator(nbins=ticks, integer=True)
    set_ticks(axis, "x", locator, lambda value, _: f"{value:,.0f}")


def horizon_axis(axis: Axes, last: int) -> None:
    """Label a horizontal axis of numbers of inner steps, up to the last."""
    stride = max(1, math.ceil(last / 6))
    axis.set_xticks([1, *(n for n in range(stride, last + 1, stride) if n > 1)])
    axis.set_xlabel("inner steps n")


def linear_axis(axis: Axes, which: str) -> None:
    """A linear axis with plain labels; `which` is "x" or "y"."""
    set_ticks(axis, which, MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))


def log_axis(axis: Axes, which: str) -> None:
    """A logarithmic axis with plain labels; linear where nothing positive is shown."""
    if not np.isfinite(getattr(axis.dataLim, f"minpos{which}")):
        linear_axis(axis, which)
        return
    getattr(axis, f"set_{which}scale")("log")
    low, high = getattr(axis, f"get_{which}lim")()
    decades = math.log10(high / low) if low > 0 else 1.0
    marks = (1.0, 2.0, 5.0) if decades < 2 else (1.0,)
    locator = MaxNLocator(nbins=5) if decades < 1 else LogLocator(subs=marks, numticks=8)
    set_ticks(axis, which, locator, power_tick if decades > 3 else tick)


def factor_axis(axis: Axes, which: str, *values: float | np.ndarray) -> None:
    """A logarithmic axis that holds these factors, labelled at powers of two: `1×`, `2×`, `4×`."""
    every = np.concatenate([np.ravel(part) for part in values])
    held = np.log2(every[np.isfinite(every) & (every > 0)])
    low, high = (held.min(), held.max()) if held.size else (0.0, 0.0)
    pad = 0.06 * max(high - low, 1.0)
    getattr(axis, f"set_{which}scale")("log", base=2)
    getattr(axis, f"set_{which}lim")(2 ** (low - pad), 2 ** (high + pad))
    stride = max(1, math.ceil((high - low + 1) / 8))
    powers = range(math.ceil(low - pad), math.floor(high + pad) + 1)
    locator = FixedLocator([2.0**power for power in powers if power % stride == 0])
    set_ticks(axis, which, locator, lambda value, _: f"{tick(value)}×")


def signed_axis(axis: Axes, which: str, values: np.ndarray, *, width: float | None = None) -> None:
    """Linear near zero, logarithmic beyond; linear where values span less than two decades."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not sizes.size or (width is None and sizes.max() < 100 * np.quantile(sizes, 0.1)):
        linear_axis(axis, which)
        return
    width = float(np.quantile(sizes, 0.1)) if width is None else width
    exponent = math.floor(math.log10(width))
    getattr(axis, f"set_{which}scale")("symlog", linthresh=10.0**exponent, linscale=0.6)
    low, high = getattr(axis, f"get_{which}lim")()
    set_ticks(axis, which, FixedLocator(signed_decades(low, high, exponent)), power_tick)


def excess_axis(
    axis: Axes, which: str, values: np.ndarray, *, span: float = 1.0, width: float | None = None
) -> None:
    """Logarithmic for positive values that span a factor; else signed, with a line at zero."""
    known = values[np.isfinite(values)]
    if known.size and known.min() > 0 and known.max() >= span * known.min():
        log_axis(axis, which)
    else:
        signed_axis(axis, which, values, width=width)
        rule(axis, which, 0.0)


def asinh_axis(axis: Axes, width: float) -> None:
    """A horizontal axis of eigenvalues, linear up to a width, with few plainly labelled ticks."""
    axis.set_xscale("asinh", linear_width=width)
    low, high = axis.get_xlim()
    most = 5 if low < 0 < high else 4
    ticks = signed_decades(low, high, math.ceil(math.log10(width)), most=most)
    set_ticks(axis, "x", FixedLocator(ticks), power_tick)


def signed_decades(low: float, high: float, first: int, *, most: int = 7) -> list[float]:
    """Zero and powers of ten of either sign that lie between two values."""
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
    """The bytes of a figure; the same figure gives the same bytes."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)  # once, not again for every format
        figure.set_layout_engine("none")
    stream = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(stream, format=kind, dpi=_DOTS_PER_INCH, metadata=metadata)
    return stream.getvalue()
