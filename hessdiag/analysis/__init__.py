"""What the runs of a study say together: rows for figures, tests of explanations, answers."""

from hessdiag.analysis.from_tables import answered
from hessdiag.analysis.results import study_results

__all__ = ["answered", "study_results"]
