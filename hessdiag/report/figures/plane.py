"""Eigenvalues of the exact operators in the complex plane, at the last probe."""

import math

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import legend, panels
from hessdiag.report.figures.density import shown_steps
from hessdiag.report.figures.palette import INK, MUTED, PAPER, SHADE, sequence
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.numbers import tick
from hessdiag.report.probe_rows import long_rows, of_operator, operators
from hessdiag.report.select import finite, iteration, probes

_EXACT = ("update", "augmented")
_VALUES = tuple(f"operator_value_{part}" for part in ("real", "imag", "error", "estimate"))
_SMALL = 0.1  # of half a panel's side: up to here a value has a place, and a disc is drawn
_HIDDEN = 0.012  # of the same: a disc below this lies under its marker


def plane(findings: Findings) -> FigureSpec | None:
    """Eigenvalue estimates around one, with the unit circle, for the first and the last step."""
    found = [
        p for p in probes(findings, *_VALUES[:2]) if set(_EXACT) & set(operators([p], _VALUES[0]))
    ]
    if not found:
        return None
    rows = long_rows(
        found[-1:], _VALUES, ("operator_unroll", "inner_step", "operator", "operator_ritz")
    )
    return FigureSpec(
        slug="plane",
        title="Eigenvalues of what the optimiser really applies",
        caption=(
            f"Iteration {iteration(found[-1]):,}, around one (cross). Full markers lie outside the "
            "unit circle (shaded) and can make noise grow. Discs show first-order errors; very "
            "large and very small ones are not drawn."
        ),
        rows=[r for r in rows if r["operator"] in _EXACT and not math.isnan(r[_VALUES[0]])],
        draw=lambda: _draw(finite(found[-1])),
    )


def _draw(probe: xr.Dataset) -> Figure:
    codes = [name for name in _EXACT if name in operators([probe], _VALUES[0])]
    figure, axes = panels(len(codes), height=3.6, width=8.4)
    for axis, code in zip(axes, codes, strict=True):
        half = _draw_plane(axis, probe, code)
        for step in shown_steps(probe):
            _draw_step(axis, probe, code, step, half=half)
        axis.set(xlabel="real part, minus 1", ylabel="imaginary part")
        axis.set_title(names.title(names.operator(code)))
        legend(axis)
    return figure


def _values(probe: xr.Dataset, code: str, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real part minus one, imaginary part and first-order error of the finite values."""
    real, imag = (of_operator(probe, name, code)[:, step].ravel() for name in _VALUES[:2])
    error = of_operator(probe, _VALUES[3], code)[:, step].ravel()
    there = np.isfinite(real) & np.isfinite(imag)
    error = error[there] if error.size == there.size else np.full(int(there.sum()), np.nan)
    return real[there], imag[there], error


def _draw_plane(axis: Axes, probe: xr.Dataset, code: str) -> float:
    """The unit circle in a square that holds one and all values; half of its side."""
    parts = [_values(probe, code, step)[:2] for step in shown_steps(probe)]
    real, imag = (np.concatenate([pair[part] for pair in parts]) for part in (0, 1))
    left, right = real.min(initial=0.0), real.max(initial=0.0)
    half = 1.15 * max((right - left) / 2, np.abs(imag).max(initial=0.0)) or 1.0
    middle = (left + right) / 2
    axis.set(xlim=(middle - half, middle + half), ylim=(-half, half), aspect="equal")
    angle = np.pi * np.linspace(-1.0, 1.0, 241) ** 3  # densest around one
    x, y = np.cos(angle) - 1, np.sin(angle)
    axis.fill(x, y, color=SHADE, zorder=0, linewidth=0)
    axis.plot(x, y, color=MUTED, linewidth=0.8, zorder=1)
    axis.plot(0.0, 0.0, "+", color=INK, markersize=7, markeredgewidth=0.9, zorder=2)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
        side.set_major_formatter(FuncFormatter(tick))
    return half


def _draw_step(axis: Axes, probe: xr.Dataset, code: str, step: int, *, half: float) -> None:
    real, imag, error = _values(probe, code, step)
    colour, marker = sequence(step, probe.sizes["inner_step"]), "os"[step > 0]
    drawn = (error > _HIDDEN * half) & (error <= _SMALL * half)
    sized = zip(real[drawn], imag[drawn], error[drawn], strict=True)
    discs = [Circle((x, y), size) for x, y, size in sized]
    axis.add_collection(PatchCollection(discs, facecolor=colour, alpha=0.16, linewidth=0))
    excess = np.abs(1 + real + 1j * imag) - 1
    vague = error > _SMALL * half
    for chosen, size, fill in (
        (vague, 1.6, colour),
        (~vague & (excess <= 0), 3.0, PAPER),
        (~vague & (excess > 0), 4.2, colour),
    ):
        look = {"color": colour, "markersize": size, "markerfacecolor": fill, "zorder": 4}
        axis.plot(real[chosen], imag[chosen], marker, markeredgewidth=0.8, **look)
    axis.plot([], [], marker, color=colour, markersize=4, label=f"inner step {step}")
