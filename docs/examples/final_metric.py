"""A figure of one's own: the headline metric at the end of training, by configuration."""

from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report.figures.spec import FigureSpec


def final_metric(findings: Findings) -> FigureSpec | None:
    """None where no run has ended."""
    table = findings.tables["final"]
    ends = table[table["series"] == findings.about["headline"]]
    if ends.empty:
        return None

    def draw() -> Figure:
        figure = Figure()
        axis = figure.subplots()
        axis.bar(ends["configuration"], ends["final"])
        axis.set(ylabel=findings.about["headline"])
        return figure

    return FigureSpec(
        slug="final-metric",
        title="How good each configuration is at the end",
        caption="Mean over seeds at the end of training.",
        rows=ends.to_dict("records"),
        draw=draw,
    )
