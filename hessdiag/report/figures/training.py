"""Over training: metrics and hyper-parameters, and where in training the noise grows."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures import canvas
from hessdiag.report.figures.palette import CATEGORIES, MUTED, PAPER, looks
from hessdiag.report.figures.spec import FigureSpec, figure_spec
from hessdiag.report.select import Frame, bounds, column, columns, measured, rows

_DECADES = 30.0  # ratio of the largest to the smallest from which an axis is logarithmic
_PANELS = 8
_PANELS_OF_A_RUN = 5  # of hyper-parameters
_POINTS = 1000
_LONG = 22  # characters of a name of which a narrow figure takes two side by side
_PAPER = "Bonnet et al. 2022"
Looks = Mapping[str, Mapping[str, Any]]  # by configuration
_DASHED: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 1.0, "marker": "D"}
_DASHED |= {"markersize": 2.5, "markerfacecolor": PAPER}


def training(findings: Findings) -> FigureSpec | None:
    """A run's metrics with their running means, and what is meta-learned."""
    metrics = next(iter(findings.metrics.values()), pd.DataFrame())
    told = [findings.about.get("headline", "return"), *findings.about.get("followed", ())]
    if findings.kind != "run" or not np.isfinite(column(metrics, f"metrics.{told[0]}")).any():
        return None
    metric = " and ".join(map(names.parameter, told))
    draw = partial(_draw_training, metrics, [f"metrics.{name}" for name in told])
    return figure_spec("training", metrics, draw, metric=metric)


def _draw_training(metrics: pd.DataFrame, told: Sequence[str]) -> Figure:
    hyper = [str(name) for name in metrics if str(name).startswith("hyper.")][:_PANELS_OF_A_RUN]
    figure, axes = canvas.panels(len(told) + len(hyper), columns=3, height=2.2)
    kept = canvas.thin(len(metrics), most=_POINTS)
    x = column(metrics, "iteration")[kept]
    for axis, name in zip(axes, told, strict=False):
        y = column(metrics, name)
        axis.plot(x, y[kept], ".", color=MUTED, alpha=0.55, markeredgewidth=0)
        window = pd.Series(y).rolling(max(1, len(metrics) // 40), center=True, min_periods=1)
        axis.plot(x, np.asarray(window.mean())[kept], color=CATEGORIES[0], linewidth=1.8)
    for axis, name in zip(axes[len(told) :], hyper, strict=True):
        values = column(metrics, name)
        canvas.rule(axis, "y", values[0], linestyle=(0, (4, 3)), zorder=2)
        axis.plot(x, values[kept], color=CATEGORIES[0])
    for axis, name in zip(axes, (*told, *hyper), strict=True):
        axis.set_title(names.title(names.parameter(name.partition(".")[2])))
        canvas.linear_axis(axis, "y")
        canvas.iteration_axis(axis, ticks=3)
    return figure


def learning(findings: Findings) -> FigureSpec | None:
    """The headline metric over training, a line per configuration."""
    headline = str(findings.about.get("headline", "return"))
    return _of_study(findings, "learning", [headline])


def followed(findings: Findings) -> FigureSpec | None:
    """The metrics that a problem has followed besides."""
    return _of_study(findings, "followed", findings.about.get("followed", ())[:_PANELS])


def hyper_parameters(findings: Findings) -> FigureSpec | None:
    """What the meta-gradient makes of the hyper-parameters."""
    return _of_study(findings, "hyper-parameters", findings.about.get("groups", ())[:_PANELS])


def _of_study(findings: Findings, slug: str, series: Sequence[str]) -> FigureSpec | None:
    frame = rows(findings, "learning")
    frame = frame[frame["series"].isin(series)] if len(frame) else frame
    if findings.kind == "run" or measured(findings) or not len(frame):
        return None  # where noise was measured, the returns stand beside it
    draw, metric = partial(_draw_learning, findings, series), names.parameter(series[0])
    seeds, paper = findings.scale.get("seeds", 1), rows(findings, "published curves")
    paper = paper[paper["series"].isin(series)] if len(paper) else paper
    words = {"seeds": seeds, "metric": names.title(metric), "published": ""}
    if len(paper):
        frame = pd.concat([frame.assign(source="ours"), paper.assign(source="published")])
        words["published"] = f" Dashed: {_PAPER}, published."
    return figure_spec(slug, frame, draw, **words)


def _draw_learning(findings: Findings, series: Sequence[str]) -> Figure:
    systems = _systems(findings) if len(series) == 1 else {}
    if len(systems) > 1:
        return _draw_systems(findings, series[0], systems)
    columns, height, width = (1, 3.2, 5.4) if len(series) == 1 else (2, 2.5, 9.6)
    figure, axes = canvas.panels(len(series), columns=columns, height=height, width=width)
    for axis, name in zip(axes, series, strict=True):
        _draw_curves(axis, findings, name, looks(findings, findings.configurations))
    if len(findings.configurations) > 1:
        if len(rows(findings, "published curves")):
            axes[0].plot([], [], color=MUTED, label=f"{_PAPER}, published", **_DASHED)
        longest = max(len(names.configuration(code)) for code in findings.configurations)
        canvas.legend(axes[0], below=2 if len(series) == 1 and longest > _LONG else 3)
    return figure


def _systems(findings: Findings) -> dict[str, list[str]]:
    """The configurations that have begun by their problem, where that is varied."""
    found: dict[str, list[str]] = {}
    begun = {*rows(findings, "learning").get("configuration", ())}
    for code in findings.configurations:
        if code in begun and (match := re.search(r"(?:^| )env=(\S+)", code)):
            found.setdefault(match[1], []).append(code)
    return found


def _draw_systems(findings: Findings, series: str, systems: Mapping[str, list[str]]) -> Figure:
    """A panel per problem, whose numbers do not compare."""
    figure, axes = canvas.panels(len(systems), columns=3, height=2.8)
    for axis, (system, codes) in zip(axes, systems.items(), strict=True):
        problem = names.value_of("env", system)
        shown = {
            code: look | {"label": look["label"].removeprefix(f"{problem}, ")}
            for code, look in looks(findings, codes).items()
        }
        _draw_curves(axis, findings, series, shown)
        axis.set_title(problem)
        canvas.legend(axis, below=2)
    axes[0].set_ylabel(names.parameter(series))
    return figure


def _draw_curves(axis: Axes, findings: Findings, series: str, shown: Looks) -> None:
    """One series over training, a line with its band per configuration."""
    means = [np.empty(0)]
    for code, look in shown.items():
        part = rows(findings, "learning", series=series, configuration=code)
        x, mean, deviation = columns(part, "iteration", "mean", "deviation")
        low, high = mean - np.nan_to_num(deviation), mean + np.nan_to_num(deviation)
        floor = np.nanmin(mean, initial=np.inf)
        low = np.where(low > 0, low, floor / 2) if 0 < floor < np.inf else low
        canvas.line_with_band(axis, x, (mean, low, high), linewidth=1.5, **{**look, "marker": ""})
        paper = rows(findings, "published curves", series=series, configuration=code)
        axis.plot(*columns(paper, "iteration", "mean"), color=look["color"], **_DASHED)
        means += [mean, column(paper, "mean")]
    every = np.concatenate(means)
    known = every[np.isfinite(every)]
    is_wide = known.size and known.min() > 0 and known.max() / known.min() > _DECADES
    (canvas.log_axis if is_wide else canvas.linear_axis)(axis, "y")
    canvas.iteration_axis(axis)
    axis.set_title(names.title(names.parameter(series)))


def along(findings: Findings) -> FigureSpec | None:
    """Growth at the longest horizon over training, above the learning curve."""
    frame = rows(findings, "spread", estimator="n-step", group="all")
    if findings.kind == "run" or "iteration" not in frame:
        return None
    frame = frame[frame["iteration"].notna() & (frame["horizon"] > 1)]
    if frame["iteration"].nunique() < 3:
        return None
    frame = frame[frame["horizon"] == frame.groupby("configuration")["horizon"].transform("max")]
    metric = names.parameter(str(findings.about["headline"]))
    return figure_spec("along", frame, lambda: _draw_along(findings, frame), metric=metric)


def _draw_along(findings: Findings, frame: Frame) -> Figure:
    figure, (upper, lower) = canvas.panels(2, height=3.0)
    shown = looks(findings, dict.fromkeys(frame["configuration"]))
    for code, look in shown.items():
        part = frame[frame["configuration"] == code].sort_values("iteration")
        x, (value, low, high) = column(part, "iteration"), bounds(part, "growth")
        upper.plot(x, value, **look)
        if len(shown) <= 4:
            upper.vlines(x, low, high, colors=look["color"], linewidth=1.0, alpha=0.5)
    canvas.factor_axis(upper, "y", 1.0, column(frame, "growth"))
    upper.set_title("Noise relative to one step")
    canvas.iteration_axis(upper)
    _draw_curves(lower, findings, str(findings.about["headline"]), shown)
    if len(shown) > 1:
        canvas.legend(upper, below=3)
    return figure
