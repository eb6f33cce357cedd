"""Running the cells of a study: the seeds of one configuration together, one after the other."""

from collections.abc import Callable, Sequence
from pathlib import Path

from hessdiag.record.run_directory import discard_unborn
from hessdiag.study.failure import attempt
from hessdiag.study.grid import Cell
from hessdiag.study.groups import TOGETHER, groups
from hessdiag.study.reports import Reports
from hessdiag.study.study_directory import CellStatus, StudyDirectory
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.launch import reopen, start
from hessdiag.train.observer import Observer
from hessdiag.train.run import Run
from hessdiag.train.seed_run import SeedRun


class StudyObserver:
    """Hears of every cell; this one ignores them all."""

    def on_cell(self, cell: Cell, status: CellStatus) -> None:
        """A cell changed its state."""

    def on_trouble(self, message: str) -> None:
        """Something went wrong that is no cell's failure and stops nothing; one line."""

    def observer_of(self, cell: Cell) -> Observer:
        """Who watches the run of a cell."""
        del cell
        return Observer()


class Study:
    """One study, new or resumed, to be driven to its end.

    Args:
        directory: where it is kept.
        cells: what it runs.
        command: the command line, for the provenance of every run.
        observer: hears of every cell.
        stop: asked at every safe point.
        publish: makes the report of a cell's run.
        conclude: makes that of the study, from the cells that have begun.
        together: seeds that train as one program at the most; bounds memory.
    """

    def __init__(
        self,
        directory: StudyDirectory,
        cells: list[Cell],
        *,
        command: str,
        observer: StudyObserver,
        stop: StopRequest,
        publish: Callable[[Path], object],
        conclude: Callable[[], object] = lambda: None,
        together: int = TOGETHER,
    ):
        self._directory = directory
        self._cells = cells
        self._command = command
        self._observer = observer
        self._stop = stop
        self._reports = Reports(publish, conclude, observer.on_trouble)
        self._together = together

    @property
    def missing_reports(self) -> int:
        """How many reports could not be made."""
        return len(self._reports.missing)

    def go(self) -> int:
        """Run every cell that is not finished; returns how many failed.

        A cell that failed before is tried once more. One that fails does not stop the rest, nor
        does a report that cannot be made.

        Raises:
            Interrupted: a stop was requested; everything is saved.
        """
        self._reports.of_study(at_once=True)
        try:
            for cells in groups(self._cells, self._together):
                self._stop.check()
                waiting = [cell for cell in cells if not self._was_finished(cell)]
                if waiting:
                    self._reports.note()
                    self._run(waiting)
                    self._reports.of_study(at_once=False)
        except Interrupted:
            self._reports.of_study(at_once=True)
            raise
        self._reports.of_study(at_once=True)
        return sum(self._directory.status(cell).state == "failed" for cell in self._cells)

    def _was_finished(self, cell: Cell) -> bool:
        """Whether nothing is left to do; a kill may have left the report to be made."""
        status = self._directory.status(cell)
        if status.state != "finished":
            return False
        if not self._directory.is_reported(cell):
            self._publish(cell)
        self._observer.on_cell(cell, status)
        return True

    def _run(self, cells: Sequence[Cell]) -> None:
        for cell in cells:
            before = self._directory.status(cell)
            self._directory.forget_failure(cell)
            self._observer.on_cell(cell, CellStatus("running", before.iteration))
        runs = self._open(cells)
        self._train(cells, runs)
        for cell in cells:
            if cell.slug in runs:
                self._publish(cell)
            self._observer.on_cell(cell, self._directory.status(cell))

    def _train(self, cells: Sequence[Cell], runs: dict[str, SeedRun]) -> None:
        """Train cells to their ends, all of them together; where that fails, each by itself."""
        if not runs:
            return
        failure = attempt(lambda: Run(list(runs.values()), stop=self._stop).go())
        left = [cell for cell in cells if cell.slug in runs and not self._ended(cell, runs)]
        if failure is None or not left:
            return
        if len(runs) == 1:
            self._directory.record_failure(left[0], failure)
            return
        names = ", ".join(cell.name for cell in left)
        self._observer.on_trouble(f"{names}: {failure.message}; each is tried by itself")
        for cell in left:
            self._train([cell], self._open([cell]))

    def _ended(self, cell: Cell, runs: dict[str, SeedRun]) -> bool:
        """Whether a run came to an end that its own directory tells of."""
        failed = runs[cell.slug].failed is not None
        return failed or self._directory.status(cell).state == "finished"

    def _open(self, cells: Sequence[Cell]) -> dict[str, SeedRun]:
        """The runs of cells, by slug, but for those that cannot be opened."""
        runs = {}
        for cell in cells:
            check = not runs  # the seeds of a configuration share their problem
            failure = attempt(
                lambda cell=cell, check=check: runs.update({cell.slug: self._open_one(cell, check)})
            )
            if failure:
                self._directory.record_failure(cell, failure)
        return runs

    def _open_one(self, cell: Cell, check_problem: bool) -> SeedRun:
        path = self._directory.run_path(cell)
        discard_unborn(path)
        if path.exists():
            settings, directory = reopen(path, command=self._command)
        else:
            settings = cell.settings
            directory = start(settings, path, command=self._command, check_problem=check_problem)
        return SeedRun(settings, directory, self._observer.observer_of(cell))

    def _publish(self, cell: Cell) -> None:
        self._reports.of_cell(cell.name or "the run", self._directory.run_path(cell))
