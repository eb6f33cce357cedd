"""Studies run in the test's own process."""

from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.grid import Grid
from hessdiag.study.study import Study
from hessdiag.study.task import StudyObserver
from hessdiag.train.interrupt import StopRequest


def drive(directory: StudyDirectory, grid: Grid) -> None:
    """Run or go on with every cell, to the end."""
    with StopRequest() as stop:
        study = Study(
            directory,
            grid.cells(),
            command="hessdiag study",
            observer=StudyObserver(),
            stop=stop,
            publish=lambda _: None,
        )
        assert study.go() == 0
