"""What the runs of a study say together: tables, verdict and checks."""

from hessdiag.analysis.checks import CODES
from hessdiag.analysis.findings import Answer, Check, Findings, Quantity
from hessdiag.analysis.results import findings, of_results, of_run, to_document
from hessdiag.analysis.side_by_side import side_by_side

__all__ = [
    "CODES",
    "Answer",
    "Check",
    "Findings",
    "Quantity",
    "findings",
    "of_results",
    "of_run",
    "side_by_side",
    "to_document",
]
