"""What the runs of a study say together: rows for figures, tests of explanations, answers."""

from hessdiag.results.results import study_results

__all__ = ["study_results"]
