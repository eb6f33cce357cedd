"""The hyper-parameters that the meta-gradient moves."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hessdiag.report.figures.canvas import Layout, iteration_axis, linear_axis, panels, thin
from hessdiag.report.figures.palette import CATEGORIES, MUTED
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.run_data import RunData

_PANELS = 12
_POINTS = 800


def _names(data: RunData) -> list[str]:
    logged = data.metrics[0].get("hyper", {}) if data.metrics else {}
    return [name for name in data.meta_parameters if name in logged] or list(logged)


def _rows(data: RunData) -> list[dict[str, Any]]:
    return [
        {"iteration": record["iteration"]}
        | {
            f"{name}_{kind}": record.get(kind, {}).get(name)
            for name in _names(data)
            for kind in ("hyper", "eta", "meta_gradient")
        }
        for record in data.metrics
    ]


def _series(data: RunData, name: str) -> np.ndarray:
    found = (record.get("hyper", {}).get(name) for record in data.metrics)
    return np.array([np.nan if value is None else value for value in found], dtype=float)


def _starts(data: RunData) -> dict[str, float]:
    return {e["name"]: e["start"] for e in data.config.get("meta_parameters", ()) if "start" in e}


def _caption(data: RunData) -> str:
    names = _names(data)
    more = f" The first {_PANELS} of {len(names)}; the CSV has all." if len(names) > _PANELS else ""
    transforms = {str(e.get("transform")) for e in data.config.get("meta_parameters", ())}
    return (
        "Hyper-parameters in force, that is after the transform "
        f"({', '.join(sorted(transforms)) or 'not recorded'}) of the unconstrained η. "
        f"Dashed: start value. These are settings, not estimates: no error bars.{more}"
    )


def _draw(data: RunData, layout: Layout) -> Figure:
    names = _names(data)[:_PANELS]
    x = np.array([record["iteration"] for record in data.metrics])
    kept = thin(len(x), most=_POINTS)
    starts = _starts(data)
    figure, axes = panels(layout, len(names), columns=4, height=1.8, narrow_columns=2)
    for axis, name in zip(axes, names, strict=True):
        if isinstance(starts.get(name), int | float):
            axis.axhline(starts[name], color=MUTED, linestyle=(0, (4, 3)), linewidth=0.9)
        axis.plot(x[kept], _series(data, name)[kept], color=CATEGORIES[0])
        axis.set_title(name)
        linear_axis(axis, "y")
        iteration_axis(axis, ticks=3)
        axis.set_xlabel("iteration")
    return figure


HYPER_PARAMETERS = FigureSpec(
    slug="hyper-parameters",
    title="Meta-learned hyper-parameters",
    caption=_caption,
    available=lambda data: bool(_names(data)),
    rows=_rows,
    draw=_draw,
)
