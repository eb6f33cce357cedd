"""Bias, noise and correlation of estimates along the sweeps of a study of bias."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures import canvas
from hessdiag.report.figures.palette import CATEGORIES
from hessdiag.report.figures.spec import FigureSpec, figure_spec
from hessdiag.report.select import Frame, bounds, column, rows

_MOST_SWEEPS = 7
_QUANTITIES = ("bias", "variance", "correlation")
_MARKERS = "osD^vPX"


def _sweep(number: int, findings: Findings) -> FigureSpec | None:
    """The figure of one sweep."""
    frame = rows(findings, "errors")
    sweeps = [*dict.fromkeys(frame["sweep"])] if len(frame) else []
    if number >= len(sweeps):
        return None
    part = frame[frame["sweep"] == sweeps[number]]
    axis = names.named("axes", part["axis"].iloc[0])
    slug = "errors" if number == 0 else f"errors-{number + 1}"
    words = {"axis": axis, "sweep": sweeps[number]}
    return figure_spec(slug, part, partial(_drawn, part, axis), words_of="errors", **words)


SWEEPS = tuple(partial(_sweep, number) for number in range(_MOST_SWEEPS))
"""A figure for each of the first sweeps."""


def _drawn(frame: Frame, axis: str) -> Figure:
    """A panel per quantity; where two settings vary, one per value of the first."""
    varied = _varied([*dict.fromkeys(frame["configuration"])])
    facets = [*dict.fromkeys(facet for facet, _ in varied.values())]
    if len(facets) > 1:
        quantity = "correlation" if np.isfinite(column(frame, "correlation")).any() else "bias"
        panels = [(facet, quantity) for facet in facets]
    else:
        known = (name for name in _QUANTITIES if _is_known(frame, name))
        panels = [(facets[0], quantity) for quantity in known]
    figure, axes = canvas.panels(len(panels), columns=min(3, len(panels)), height=3.0)
    for at, (facet, quantity) in zip(axes, panels, strict=True):
        curves = {code: name for code, (held, name) in varied.items() if held == facet}
        _draw_curves(at, frame, quantity, curves)
        at.set_xlabel(axis)
        at.set_title(facet if len(facets) > 1 else names.title(names.named("quantities", quantity)))
        if len(facets) > 1:
            at.set_ylabel(names.named("quantities", quantity))
    canvas.legend(axes[0], below=2)
    return figure


def _is_known(frame: Frame, quantity: str) -> bool:
    """Whether there is anything to draw: on logarithmic axes, what is known to be above zero."""
    values, low, _ = bounds(frame, quantity)
    return bool(np.isfinite(values if quantity == "correlation" else low[low > 0]).any())


def _draw_curves(at: Any, frame: Frame, quantity: str, curves: Mapping[str, str]) -> None:
    is_log = quantity != "correlation"
    for place, (code, name) in enumerate(curves.items()):
        part = frame[frame["configuration"] == code].sort_values("at")
        values = bounds(part, quantity)
        if is_log:
            values = [np.where(values[1] > 0, value, np.nan) for value in values]
        look = {"color": CATEGORIES[place % len(CATEGORIES)], "label": name}
        look["marker"] = _MARKERS[place % len(_MARKERS)]
        canvas.line_with_band(at, column(part, "at"), values, linewidth=1.5, **look)
    canvas.log_axis(at, "x")
    (canvas.log_axis if is_log else canvas.linear_axis)(at, "y")


def _varied(codes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The panel and the name of every curve: values of what varies between them."""
    each = {
        code: dict(word.split("=", 1) for word in code.split(" ") if "=" in word) for code in codes
    }
    keys = [*dict.fromkeys(key for words in each.values() for key in words)]
    varying = [key for key in keys if len({words.get(key) for words in each.values()}) > 1]
    first, others = (varying[:1], varying[1:]) if len(varying) > 1 else ([], varying)

    def text(words: Mapping[str, str], some: Sequence[str]) -> str:
        told = [(key, names.named("estimates", words[key])) for key in some if key in words]
        if len(varying) == 1 and all(words[key] != value for key, value in told):
            return "".join(value for _, value in told)  # a name says enough by itself
        return ", ".join(f"{names.named('settings', key)} {value}" for key, value in told)

    return {code: (text(words, first), text(words, others)) for code, words in each.items()}
