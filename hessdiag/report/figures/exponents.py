"""Finite-time exponents side by side: norms, the outer gradient, twins and the noise."""

from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names, select
from hessdiag.report.figures import canvas
from hessdiag.report.figures.palette import looks
from hessdiag.report.figures.spec import FigureSpec, figure_spec

_TELLING = ("twin", "outer")  # norms alone are shown elsewhere


def exponents(findings: Findings) -> FigureSpec | None:
    """All exponents at the longest horizon, a colour per configuration, with twins or T."""
    frame = select.rows(findings, "exponents", when="all")
    if not len(frame) or not frame["exponent_of"].str.startswith(_TELLING).any():
        return None
    over = " or ".join(dict.fromkeys(frame["over"]))
    return figure_spec("exponents", frame, lambda: _draw(findings, frame), over=over)


def _draw(findings: Findings, frame: select.Frame) -> Figure:
    labels = {code: names.exponent(code) for code in dict.fromkeys(frame["exponent_of"])}
    figure, (axis,) = canvas.panels(1, columns=1, height=1.0 + 0.36 * len(labels), width=6.4)
    shown = [code for code in findings.configurations if (frame["configuration"] == code).any()]
    groups = []
    for code, look in looks(findings, shown).items():
        part = frame[frame["configuration"] == code]
        groups.append((look, part["exponent_of"], select.bounds(part, "exponent")))
    canvas.dots_in_rows(axis, labels, groups)
    canvas.signed_axis(axis, "x", select.column(frame, "exponent"))
    canvas.rule(axis, "x", 0.0)
    axis.set_xlabel("log of the stretch per inner step")
    if len(shown) > 1:
        canvas.legend(axis, below=2)
    return figure
