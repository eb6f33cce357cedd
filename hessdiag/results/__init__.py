"""What the runs of a study say together: rows for figures, tests of explanations, answers."""

from hessdiag.results.from_tables import answered
from hessdiag.results.results import study_results

__all__ = ["answered", "study_results"]
