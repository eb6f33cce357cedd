"""The page of a run or of a study."""

from collections.abc import Sequence

from hessdiag.analysis import Findings
from hessdiag.report.advice import check_table
from hessdiag.report.cards import cards
from hessdiag.report.decided import decided
from hessdiag.report.figures.files import DrawnFigure
from hessdiag.report.html import style, template
from hessdiag.report.limits import kicker, lead, limits, notes
from hessdiag.report.tables import folded
from hessdiag.report.words import changes, sentences, title


def page(findings: Findings, drawn: Sequence[DrawnFigure]) -> str:
    """The whole page."""
    return template().render(
        title=title(findings),
        kicker=kicker(findings),
        lead=lead(findings),
        notes=notes(findings),
        cards=cards(findings),
        figures=drawn,
        decided=decided(findings),
        advice=changes(findings),
        limits=limits(findings),
        checks=check_table(findings),
        sentences=sentences(findings),
        folded=folded(findings),
        choices=findings.choices,
        command=findings.provenance.get("command"),
        style=style(),
    )
