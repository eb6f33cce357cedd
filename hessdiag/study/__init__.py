"""Grids of runs: planned, run one by one, resumable, and never stopped by one that fails."""

from hessdiag.record.study_directory import CellStatus, StudyDirectory
from hessdiag.study.calibration import Estimate, calibrate
from hessdiag.study.grid import Cell, Grid
from hessdiag.study.groups import TOGETHER, groups
from hessdiag.study.observer import StudyObserver
from hessdiag.study.plan import planned
from hessdiag.study.study import Study
from hessdiag.study.task import Task

__all__ = [
    "TOGETHER",
    "Cell",
    "CellStatus",
    "Estimate",
    "Grid",
    "Study",
    "StudyDirectory",
    "StudyObserver",
    "Task",
    "calibrate",
    "groups",
    "planned",
]
