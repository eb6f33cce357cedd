"""Empty figures in the house's look, and axes fit for eigenvalues.

No global state of matplotlib is touched: `styled` holds for a block only.
"""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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

from hessdiag.report.numbers import power_tick, tick

STYLE = Path(__file__).with_name("house.mplstyle")
_DOTS_PER_INCH = 110
_LABEL_GAP = 16.0  # pixels between the middles of two names


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
    wide = width * across / columns
    figure = Figure(figsize=(wide, height * down), layout="constrained")
    grid = figure.subfigures(down, across, squeeze=False)
    return figure, [part.subplots() for part in list(grid.ravel())[:count]]


def boxes(figure: Figure) -> list[tuple[float, float, float, float]]:
    """Left, top, width and height of every panel, in points from the upper left corner."""
    wide, high = 72 * figure.get_size_inches()
    held = [part for part in figure.subfigs if part.axes]
    if not held:
        return [(0.0, 0.0, wide, high)]
    ends = [part.bbox.transformed(figure.transFigure.inverted()) for part in held]
    return [(b.x0 * wide, (1 - b.y1) * high, b.width * wide, b.height * high) for b in ends]


def direct_labels(axis: Axes, x: float, labels: Sequence[tuple[float, str, str]]) -> None:
    """(height, text, colour) beside the ends of lines at x, moved apart where they would touch."""
    to_pixels, to_data = axis.transData, axis.transData.inverted()
    there = sorted((entry for entry in labels if np.isfinite(entry[0])), key=lambda e: e[0])
    low, high = axis.bbox.y0, axis.bbox.y1
    gap = min(_LABEL_GAP, (high - low) / max(len(there), 1))
    heights = [to_pixels.transform((x, y))[1] for y, _, _ in there]
    for index in range(1, len(heights)):
        heights[index] = max(heights[index], heights[index - 1] + gap)
    ceiling = high
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], ceiling)
        ceiling = heights[index] - gap
    left = to_pixels.transform((x, 1.0))[0]
    for height, (_, text, colour) in zip(heights, there, strict=True):
        y = to_data.transform((left, height))[1]
        axis.text(x, y, text, color=colour, va="center", ha="left", clip_on=False)


def line_with_band(axis: Axes, x, value, low, high, *, colour: str, **look) -> None:
    """A curve with its interval, which is left out where it is not known."""
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        axis.fill_between(x, low, high, where=known, color=colour, alpha=0.16, linewidth=0)
    axis.plot(x, value, color=colour, **look)


def dots_with_bars(axis: Axes, value, y, low, high, *, colour: str, **look) -> None:
    """Points with horizontal intervals, which are left out where they are not known."""
    known = np.isfinite(low) & np.isfinite(high)
    axis.hlines(y[known], low[known], high[known], colors=colour, linewidth=1.4)
    axis.plot(value, y, color=colour, linestyle="", **look)


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


def iteration_axis(axis: Axes, *, ticks: int = 5) -> None:
    """Label a horizontal axis of training iterations, with about so many ticks."""
    axis.set_xlabel("training iteration")
    axis.xaxis.set_major_locator(MaxNLocator(nbins=ticks, integer=True))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def horizon_axis(axis: Axes, last: int) -> None:
    """Label a horizontal axis of numbers of inner steps, up to the last."""
    stride = max(1, math.ceil(last / 6))
    axis.set_xticks([1, *(n for n in range(stride, last + 1, stride) if n > 1)])
    axis.set_xlabel("inner steps n")


def linear_axis(axis: Axes, which: str) -> None:
    """A linear axis with plain labels; `which` is "x" or "y"."""
    side = getattr(axis, f"{which}axis")
    side.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    side.set_major_formatter(FuncFormatter(tick))


def log_axis(axis: Axes, which: str) -> None:
    """A logarithmic axis with plain labels; linear where nothing positive is shown."""
    if not np.isfinite(getattr(axis.dataLim, f"minpos{which}")):
        linear_axis(axis, which)
        return
    getattr(axis, f"set_{which}scale")("log")
    side = getattr(axis, f"{which}axis")
    low, high = getattr(axis, f"get_{which}lim")()
    decades = math.log10(high / low) if low > 0 else 1.0
    if decades < 1:
        side.set_major_locator(MaxNLocator(nbins=5))
    else:
        marks = (1.0, 2.0, 5.0) if decades < 2 else (1.0,)
        side.set_major_locator(LogLocator(base=10, subs=marks, numticks=8))
    side.set_major_formatter(FuncFormatter(power_tick if decades > 3 else tick))
    side.set_minor_locator(NullLocator())


def factor_axis(axis: Axes, which: str, values: np.ndarray) -> None:
    """A logarithmic axis of factors, labelled at powers of two: `1×`, `2×`, `4×`."""
    held = values[np.isfinite(values) & (values > 0)]
    low, high = (math.log2(end(held)) if held.size else 0.0 for end in (np.min, np.max))
    pad = 0.06 * max(high - low, 1.0)
    getattr(axis, f"set_{which}scale")("log", base=2)
    getattr(axis, f"set_{which}lim")(2 ** (low - pad), 2 ** (high + pad))
    side = getattr(axis, f"{which}axis")
    stride = max(1, math.ceil((high - low + 1) / 8))
    ends = math.ceil(low - pad), math.floor(high + pad)
    powers = [k for k in range(ends[0], ends[1] + 1) if k % stride == 0]
    side.set_major_locator(FixedLocator([2.0**k for k in powers]))
    side.set_major_formatter(FuncFormatter(lambda value, _: f"{tick(value)}×"))
    side.set_minor_locator(NullLocator())


def signed_axis(axis: Axes, which: str, values: np.ndarray, *, width: float | None = None) -> None:
    """An axis for values of both signs: linear near zero, logarithmic beyond.

    It stays linear where the values span less than about two decades.
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
