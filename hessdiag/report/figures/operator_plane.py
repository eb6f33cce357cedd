"""Eigenvalues of the exact operators in the complex plane, early, middle and late."""

import math
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hessdiag.report.csv_text import long_rows
from hessdiag.report.figures.canvas import Layout, legend_below, panels
from hessdiag.report.figures.density import shown_steps
from hessdiag.report.figures.palette import INK, MUTED, PAPER, SHADE, sequence
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.numbers import tick
from hessdiag.report.operators import EXACT, of_operator, operator_names
from hessdiag.report.probes import early_middle_late, having, iteration
from hessdiag.report.run_data import RunData

_VALUES = tuple(f"operator_value_{part}" for part in ("real", "imag", "error", "estimate"))
_DIMENSIONS = ("operator_unroll", "inner_step", "operator", "operator_ritz")
_SMALL = 0.1  # of half a panel's side: up to here a value has a place, and a disc is drawn
_HIDDEN = 0.012  # of the same: a disc below this lies under its marker
_MARKERS = "os"


def _probes(data: RunData) -> list[xr.Dataset]:
    found = having(data.probes, *_VALUES[:2])
    chosen = [probe for probe in found if set(EXACT) & set(operator_names([probe], _VALUES[0]))]
    return early_middle_late(chosen)


def _names(probes: list[xr.Dataset]) -> list[str]:
    return [name for name in EXACT if name in operator_names(probes, _VALUES[0])]


def _rows(data: RunData) -> list[dict[str, Any]]:
    rows = long_rows(_probes(data), _VALUES, _DIMENSIONS)
    return [row for row in rows if row["operator"] in EXACT and not math.isnan(row[_VALUES[0]])]


def _caption(data: RunData) -> str:
    probes = _probes(data)
    unrolls = max(probe.sizes["operator_unroll"] for probe in probes)
    batch = f"the batches of {unrolls} unrolls" if unrolls > 1 else "the batch of one unroll"
    return (
        "Eigenvalue estimates (Ritz values) of the exact Jacobians of an inner update around one "
        f"(cross), for the first and the last inner step, on {batch}; every panel has its own "
        "scale. Shaded: inside the unit circle; an eigenvalue outside makes repeated "
        "multiplication grow. Full marker: outside by more than the first-order error; hollow: "
        "within it of the circle; small: inside. Pale disc: first-order error, which bounds "
        "nothing; ring: bound. "
        f"Discs and rings of more than {_SMALL:.0%} of half the panel are left out, and those that "
        "a marker would hide: no ring does not mean a small bound. Values of a first-order error "
        "beyond that share are faint points. The iteration seeks the values furthest out: inside "
        "there are many more. The CSV has every inner step and every error."
    ).replace("%", " %")


def _draw(data: RunData, layout: Layout) -> Figure:
    probes = _probes(data)
    names = _names(probes)
    cells = [(name, probe) for name in names for probe in probes]
    if layout.narrow:
        cells = [(name, probe) for probe in probes for name in names]
    figure, axes = panels(
        layout,
        len(cells),
        columns=len(probes),
        narrow_columns=len(names),
        height=1.95 if layout.narrow and len(names) > 1 else 3.0,
    )
    across = len(names) if layout.narrow else len(probes)
    for place, (axis, (name, probe)) in enumerate(zip(axes, cells, strict=True)):
        window = _window(probe, name)
        _draw_plane(axis, window, ticks=3 if layout.narrow else 4)
        axis.set_xlabel("Re λ − 1" if place >= len(cells) - across else "")
        axis.set_ylabel("Im λ" if place % across == 0 else "")
        for step in shown_steps(probe):
            _draw_step(axis, probe, name, step, half=window[1])
        short = "" if layout.narrow and len(names) > 1 else "iteration "
        axis.set_title(f"{name.capitalize()}, {short}{iteration(probe):,}")
    legend_below(figure, axes[0], layout=layout)
    return figure


def _window(probe: xr.Dataset, name: str) -> tuple[float, float]:
    """Middle on the real axis and half the side of a square that holds one and all values shown."""
    found = [_values(probe, name, step)[:2] for step in shown_steps(probe)]
    real, imag = (np.concatenate([pair[part] for pair in found]) for part in (0, 1))
    left, right = real.min(initial=0.0), real.max(initial=0.0)
    half = 1.15 * max((right - left) / 2, np.abs(imag).max(initial=0.0))
    return (left + right) / 2, float(half) or 1.0


def _values(
    probe: xr.Dataset, name: str, step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Real part minus one, imaginary part, bound and first-order error of the finite values."""
    parts = []
    for variable in _VALUES:
        array = of_operator(probe, variable, name)
        parts.append(array[:, step].ravel() if variable in probe else None)
    real, imag, error, estimate = parts
    there = np.isfinite(real) & np.isfinite(imag)
    missing = np.full(int(there.sum()), np.nan)
    return (
        real[there],
        imag[there],
        missing if error is None else error[there],
        missing if estimate is None else estimate[there],
    )


def _draw_plane(axis: Axes, window: tuple[float, float], *, ticks: int) -> None:
    middle, half = window
    axis.set(xlim=(middle - half, middle + half), ylim=(-half, half), aspect="equal")
    angle = np.pi * np.linspace(-1.0, 1.0, 241) ** 3  # densest around one
    x, y = np.cos(angle) - 1, np.sin(angle)
    axis.fill(x, y, color=SHADE, zorder=0, linewidth=0)
    axis.plot(x, y, color=MUTED, linewidth=0.8, zorder=1)
    axis.plot(0.0, 0.0, "+", color=INK, markersize=7, markeredgewidth=0.9, zorder=2)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator(nbins=ticks, steps=[1, 2, 5, 10]))
        side.set_major_formatter(FuncFormatter(tick))


def _draw_step(axis: Axes, probe: xr.Dataset, name: str, step: int, *, half: float) -> None:
    real, imag, error, estimate = _values(probe, name, step)
    count = probe.sizes["inner_step"]
    colour, marker = sequence(step, count), _MARKERS[step > 0]
    excess = np.abs(1 + real + 1j * imag) - 1
    vague = ~(estimate <= _SMALL * half)
    _draw_discs(axis, real, imag, error, half=half, edgecolor=colour, facecolor="none", alpha=0.5)
    _draw_discs(axis, real, imag, estimate, half=half, facecolor=colour, alpha=0.16)
    look = {"color": colour, "linestyle": "", "markeredgewidth": 0.8}
    axis.plot(real[vague], imag[vague], ".", markersize=2.5, alpha=0.35, **look)
    for chosen, size, fill in (
        (excess < -estimate, 2.2, colour),
        (np.abs(excess) <= estimate, 4.0, PAPER),
        (excess > estimate, 4.0, colour),
    ):
        at = chosen & ~vague
        axis.plot(
            real[at], imag[at], marker, markersize=size, markerfacecolor=fill, zorder=4, **look
        )
    label = f"inner step j = {step}"
    axis.plot([], [], marker=marker, markersize=4, label=label, **look)


def _draw_discs(
    axis: Axes, real: np.ndarray, imag: np.ndarray, radius: np.ndarray, *, half: float, **look: Any
) -> None:
    drawn = (radius > _HIDDEN * half) & (radius <= _SMALL * half)
    discs = [
        Circle((x, y), r) for x, y, r in zip(real[drawn], imag[drawn], radius[drawn], strict=True)
    ]
    if discs:
        axis.add_collection(PatchCollection(discs, linewidth=0.7, zorder=3, **look))


OPERATOR_PLANE = FigureSpec(
    slug="operator-plane",
    title="Eigenvalues of the exact operators around one: early, middle, late",
    caption=_caption,
    available=lambda data: bool(_probes(data)),
    rows=_rows,
    draw=_draw,
)
