"""Configurations side by side: what carries the noise, what predicts it, and what is published."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures import canvas
from hessdiag.report.figures.palette import INK, PAPER, PUBLISHED, looks
from hessdiag.report.figures.spec import FigureSpec, figure_spec
from hessdiag.report.select import Frame, bounds, column, columns, cuts, measured, rows

_SAME = 0.01  # explanations whose logarithms differ by less in all configurations are one
_PUBLISHED = ("published", "published_deviation")
_PHASES = ("early", "middle", "late")

Rows = tuple[str, dict[str, str]]  # the column of codes, and what people call them


def sources(findings: Findings) -> FigureSpec | None:
    """All cuts and all sources, a colour per configuration."""
    cut = [frame for code in findings.configurations if len(frame := cuts(findings, code)) > 1]
    share = rows(findings, "sources", when="all")
    shown = [*cut, share] if len(share) else cut
    if not shown:
        return None
    records = [row for frame in shown for row in frame.to_dict("records")]
    return figure_spec("sources", records, lambda: _draw_sources(findings, cut, share))


def _draw_sources(findings: Findings, cut: list[Frame], share: Frame) -> Figure:
    figure, axes = canvas.panels(bool(cut) + bool(len(share)), height=3.3)
    if cut:
        frame = pd.concat(cut)
        labels = {code: names.cut(code) for code in frame["cut"]}
        _draw_rows(axes[0], findings, frame, ("cut", labels), "growth")
        canvas.factor_axis(axes[0], "x", 1.0, *columns(frame, "growth", "growth_low"))
        axes[0].set_title("Noise relative to one step")
    if len(share):
        labels = {code: code for code in share["source"]}
        _draw_rows(axes[-1], findings, share, ("source", labels), "share")
        canvas.linear_axis(axes[-1], "x")
        axes[-1].set_xlim(-0.6, 1.6)
        for end in (0.0, 1.0):
            canvas.rule(axes[-1], "x", end)
        axes[-1].set_title("Share of the variance")
    if len(findings.configurations) > 1:
        canvas.legend(axes[0], below=4)
    return figure


def _draw_rows(
    axis: Axes, findings: Findings, frame: Frame, rows: Rows, value: str, *, width: float = 0.5
) -> None:
    """A dot with its bar per configuration and row."""
    key, labels = rows
    shown = [code for code in findings.configurations if (frame["configuration"] == code).any()]
    groups = []
    for code, look in looks(findings, shown).items():
        part = frame[frame["configuration"] == code]
        groups.append((look, part[key], bounds(part, value)))
    canvas.dots_in_rows(axis, labels, groups, width=width)


def predicted_measured(findings: Findings) -> FigureSpec | None:
    """How far off each explanation is, a colour per configuration."""
    frame = rows(findings, "standings", estimator="n-step")
    if findings.kind == "run" or not len(frame):
        return None
    frame = frame[frame["explanation"].isin(distinct(frame))]
    return figure_spec("predicted", frame, lambda: _draw_predicted(findings, frame))


def distinct(frame: Frame) -> list[str]:
    """The explanations of which none predicts what an earlier one does in every configuration."""
    table = frame.pivot_table("calibration", "explanation", "configuration", sort=False)
    kept: list[str] = []
    for name, held in table.iterrows():
        gaps = [np.nanmax(np.abs(held - table.loc[other]), initial=0.0) for other in kept]
        if not name.startswith("measured") and all(gap > _SAME for gap in gaps):
            kept.append(str(name))
    return sorted(kept)


def _draw_predicted(findings: Findings, frame: Frame) -> Figure:
    labels = {code: names.explanation(code) for code in sorted(frame["explanation"])}
    figure, (axis,) = canvas.panels(1, columns=1, height=0.7 + 0.42 * len(labels), width=5.6)
    logs = frame.filter(like="calibration").astype(float)
    frame = frame.assign(**np.exp(logs.clip(-7, 7)))
    _draw_rows(axis, findings, frame, ("explanation", labels), "calibration", width=0.6)
    value = column(frame, "calibration")
    canvas.factor_axis(axis, "x", 1 / 1.5, 1.5, value / 1.5, value * 1.5)
    canvas.rule(axis, "x", 1.0, color=INK, linewidth=1.0)
    axis.set_xlabel("predicted ÷ measured")
    if frame["configuration"].nunique() > 1:
        canvas.legend(axis, below=2)
    return figure


def phase(findings: Findings) -> FigureSpec | None:
    """What growth is left with a path cut, early, in the middle and late, by configuration."""
    frame = rows(findings, "cuts")
    if not len(frame):
        return None
    frame = frame[frame["when"].isin(_PHASES) & (frame["horizon"] == frame["horizon"].max())]
    table = frame.pivot_table("growth", ["configuration", "when"], "cut", sort=False)
    if not {"full", "no-hessian", "no-memory"} <= set(table.columns):
        return None
    left = table[["no-hessian", "no-memory"]].div(table["full"], axis=0).dropna().reset_index()
    return (
        figure_spec("phase", left, lambda: _draw_phase(findings, left)) if len(left) > 2 else None
    )


def _draw_phase(findings: Findings, frame: Frame) -> Figure:
    figure, (axis,) = canvas.panels(1, columns=1, height=3.6, width=4.8)
    look = looks(findings, dict.fromkeys(frame["configuration"]))
    for code, part in frame.groupby("configuration", sort=False):
        x, y = columns(part, "no-memory", "no-hessian")
        axis.plot(x, y, linewidth=0.8, alpha=0.9, **look[code])
    for which in "xy":
        canvas.factor_axis(axis, which, 1.0, *columns(frame, "no-memory", "no-hessian"))
    canvas.rule(axis, "y", 1.0)
    canvas.rule(axis, "x", 1.0)
    axis.set(xlabel="left without the optimiser's memory", ylabel="left without the Hessian path")
    canvas.legend(axis)
    return figure


def published(findings: Findings) -> FigureSpec | None:
    """Every published number with ours, where more than a few are known."""
    returns, noise = (rows(findings, "published", quantity=name) for name in ("final", "growth"))
    if len(returns) < 2 or len(rows(findings, "published curves")):
        return None  # curves are shown as curves
    if len(noise):
        part = noise["configuration"] == next(iter(measured(findings)), "")
        noise = noise[part & (noise["horizon"] > 1)]
    records = [row for frame in (returns, noise) for row in frame.to_dict("records")]
    return figure_spec("published", records, lambda: _draw_published(findings, returns, noise))


def _draw_published(findings: Findings, returns: Frame, noise: Frame) -> Figure:
    figure, axes = canvas.panels(1 + bool(len(noise)), height=3.4)
    labels = [names.configuration(code) for code in returns["configuration"]]
    _draw_pairs(axes[0], returns, _standing(labels, returns))
    canvas.log_axis(axes[0], "x")
    axes[0].set_title(f"{names.title(names.parameter(str(findings.about['headline'])))} at the end")
    if len(noise):
        pairs = zip(noise["estimator"], noise["horizon"], strict=True)
        labels = _standing([f"{kind}, n = {n}" for kind, n in pairs], noise)
        values = _draw_pairs(axes[1], noise, labels)
        canvas.factor_axis(axes[1], "x", values)
        axes[1].set_title("Noise relative to one step")
    canvas.legend(axes[0])
    return figure


def _standing(labels: list[str], frame: Frame) -> list[str]:
    """With what has become of each number, where that is known."""
    if "standing" not in frame:
        return labels
    pairs = zip(labels, frame["standing"], strict=True)
    return [
        f"{label}: {standing}" if isinstance(standing, str) else label for label, standing in pairs
    ]


def _draw_pairs(axis: Axes, frame: Frame, labels: list[str]) -> np.ndarray:
    """Ours above what is published, a row each; the ends of all bars, and our values."""
    ours, low, high, paper, deviation = columns(frame, "value", "low", "high", *_PUBLISHED)
    low = np.where(low > 0, low, ours / 2)
    ends = np.maximum(paper - deviation, paper / 2), paper + deviation
    diamonds = {"color": PUBLISHED, "marker": "D", "markerfacecolor": PAPER}
    places = [str(place) for place in range(len(labels))]
    groups = [
        ({"color": INK, "marker": "o", "label": "ours"}, places, (ours, low, high)),
        (diamonds | {"label": "Bonnet et al. 2021"}, places, (paper, *ends)),
    ]
    canvas.dots_in_rows(axis, dict(zip(places, labels, strict=True)), groups, width=0.52)
    return np.concatenate([ours, low, high, *ends])
