"""What an executor runs: cells that train as one program, and all they need to be run anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hessdiag.record.study_directory import CellStatus, StudyDirectory
from hessdiag.study.failure import attempt
from hessdiag.study.grid import Cell
from hessdiag.study.observer import StudyObserver
from hessdiag.train.interrupt import StopRequest
from hessdiag.train.launch import reopen, start
from hessdiag.train.run import Run
from hessdiag.train.seed_run import SeedRun

Statuses = Mapping[str, CellStatus]


@dataclass(frozen=True)
class Task:
    """Cells that train as one program; can be pickled, and run again.

    Its state is in the run directories of its cells alone: a second call goes on where the first
    one stopped, and does nothing where that has finished.

    Attributes:
        directory: of the study.
        cells: that differ by their seed alone.
        command: the command line, for the provenance of every run.
    """

    directory: Path
    cells: tuple[Cell, ...]
    command: str

    def __call__(
        self, observer: StudyObserver | None = None, stop: StopRequest | None = None
    ) -> Statuses:
        """Train every cell to its end; one that fails does not stop the others.

        Args:
            observer: hears of every cell.
            stop: asked at every safe point.

        Returns:
            Where each cell stands, by slug.

        Raises:
            Interrupted: a stop was requested; everything is saved.
        """
        study = StudyDirectory(self.directory)
        training = _Training(
            study, self.command, observer or StudyObserver(), stop or StopRequest()
        )
        training.run([cell for cell in self.cells if study.status(cell).state != "finished"])
        return {cell.slug: study.status(cell) for cell in self.cells}


@dataclass(frozen=True)
class _Training:
    study: StudyDirectory
    command: str
    observer: StudyObserver
    stop: StopRequest

    def run(self, cells: Sequence[Cell]) -> None:
        for cell in cells:
            before = self.study.status(cell)
            self.study.forget_failure(cell)
            self.observer.on_cell(cell, CellStatus("running", before.iteration))
        self._train(cells)

    def _train(self, cells: Sequence[Cell]) -> None:
        """Train cells to their ends, all of them together; where that fails, each by itself."""
        runs = self._open(cells)
        if not runs:
            return
        failure = attempt(lambda: Run(list(runs.values()), stop=self.stop).go())
        left = [cell for cell in cells if cell.slug in runs and not self._ended(cell, runs)]
        if failure is None or not left:
            return
        if len(runs) == 1:
            self.study.record_failure(left[0], failure.message, failure.details)
            return
        names = ", ".join(cell.name for cell in left)
        self.observer.on_trouble(f"{names}: {failure.message}; each is tried by itself")
        for cell in left:
            self._train([cell])

    def _ended(self, cell: Cell, runs: Mapping[str, SeedRun]) -> bool:
        """Whether a run came to an end that its own directory tells of."""
        failed = runs[cell.slug].failed is not None
        return failed or self.study.status(cell).state == "finished"

    def _open(self, cells: Sequence[Cell]) -> dict[str, SeedRun]:
        """The runs of cells, by slug, but for those that cannot be opened."""
        runs: dict[str, SeedRun] = {}

        def open_one(cell: Cell) -> None:
            runs[cell.slug] = self._open_one(cell, runs)

        for cell in cells:
            failure = attempt(partial(open_one, cell))
            if failure:
                self.study.record_failure(cell, failure.message, failure.details)
        return runs

    def _open_one(self, cell: Cell, opened: Mapping[str, SeedRun]) -> SeedRun:
        path, settings = self.study.run_path(cell), cell.settings
        if path.exists():
            settings, directory = reopen(path, command=self.command)
        else:  # the seeds of a configuration share their problem: it is checked once
            check = not opened
            directory = start(settings, path, command=self.command, check_problem=check)
        return SeedRun(settings, directory, self.observer.observer_of(cell))
