"""Reports of studies: what all of their runs say together."""

from hessdiag.report.studies.data import StudyData, load_study
from hessdiag.report.studies.write import write_study_report

__all__ = ["StudyData", "load_study", "write_study_report"]
