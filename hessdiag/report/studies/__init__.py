"""Reports of studies: what all of their runs say together."""

from hessdiag.report.studies.data import StudyData, load_study
from hessdiag.report.studies.extent import count, scale
from hessdiag.report.studies.headline import headline_table
from hessdiag.report.studies.write import write_study_report

__all__ = [
    "StudyData",
    "count",
    "headline_table",
    "load_study",
    "scale",
    "write_study_report",
]
