"""What an executor runs: cells that train as one program, and all they need to be run anywhere."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hessdiag.devices import local_devices
from hessdiag.record.digests import difference
from hessdiag.record.documents import damaged
from hessdiag.record.lock import is_held
from hessdiag.record.study_directory import CellStatus, StudyDirectory
from hessdiag.study.grid import Cell
from hessdiag.train.interrupt import Failure, StopRequest, told
from hessdiag.train.launch import reopen, start
from hessdiag.train.run import Run
from hessdiag.train.seed_run import Observer, SeedRun
from hessdiag.train.settings import flatten

Statuses = Mapping[str, CellStatus]
_RELEASE_SECONDS = 60


class StudyObserver:
    """Hears of every cell of a study; this one ignores them all."""

    def on_cell(self, cell: Cell, status: CellStatus) -> None:
        """A cell changed its state."""

    def on_trouble(self, message: str) -> None:
        """Something went wrong that is no cell's failure and stops nothing; one line."""

    def observer_of(self, cell: Cell) -> Observer:
        """Who watches the run of a cell."""
        del cell
        observer = Observer()
        observer.on_trouble = self.on_trouble
        return observer


@dataclass(frozen=True)
class Task:
    """Cells that train as one program; can be pickled, and run again.

    Its state is in the run directories of its cells alone: a second call goes on where the first
    one stopped, and does nothing where that has finished.
    """

    directory: Path  # of the study
    cells: tuple[Cell, ...]  # that differ by their seed alone
    command: str  # the command line, for the provenance of every run
    devices: int | None = None  # how many share the work, where it is done; None: all there are

    def __call__(
        self, observer: StudyObserver | None = None, stop: StopRequest | None = None
    ) -> Statuses:
        """Train every cell to its end; one that fails does not stop the others.

        Returns:
            Where each cell stands, by slug.

        Raises:
            Interrupted: `stop`, asked at every safe point, was requested; everything is saved.
        """
        study = StudyDirectory(self.directory)
        observer, stop = observer or StudyObserver(), stop or StopRequest()
        self._await_release(study)
        waiting = [cell for cell in self.cells if study.status(cell).state != "finished"]
        for cell in waiting:
            before = study.status(cell)
            study.forget_failure(cell)
            observer.on_cell(cell, CellStatus("running", before.iteration))
        _Training(study, self, observer, stop).run(waiting)
        return {cell.slug: study.status(cell) for cell in self.cells}

    def _await_release(self, study: StudyDirectory) -> None:
        """Wait for a worker that was lost with the task: until it is gone it holds directories."""
        until = time.monotonic() + _RELEASE_SECONDS
        for cell in self.cells:
            while is_held(study.run_path(cell)) and time.monotonic() < until:
                time.sleep(_RELEASE_SECONDS / 600)


@dataclass(frozen=True)
class _Training:
    study: StudyDirectory
    task: Task
    observer: StudyObserver
    stop: StopRequest

    def run(self, cells: Sequence[Cell]) -> None:
        """Train cells to their ends, all of them together; where that fails, each by itself."""
        runs: dict[str, SeedRun] = {}
        for cell in cells:
            with told(partial(self._fail, cell)):
                runs[cell.slug] = self._open(cell, is_first=not runs)
        failures: list[Failure] = []
        if runs:
            with told(failures.append):
                devices = local_devices(self.task.devices)
                Run(list(runs.values()), stop=self.stop, devices=devices).go()
        for failure in failures:
            self._part([cell for cell in cells if cell.slug in runs], runs, failure)

    def _open(self, cell: Cell, *, is_first: bool) -> SeedRun:
        """Its run; the seeds of a configuration share their problem, which is checked once."""
        path, settings = self.study.run_path(cell), cell.settings
        how = {"command": self.task.command, "devices": local_devices(self.task.devices)}
        if path.exists():
            settings, directory = reopen(path, **how)
            if apart := difference(flatten(settings), flatten(cell.settings)):
                raise damaged(path / "config.json", f"{apart}, as study.json says")
        else:
            directory = start(settings, path, check_problem=is_first, **how)
        return SeedRun(settings, directory, self.observer.observer_of(cell))

    def _part(self, cells: Sequence[Cell], runs: Mapping[str, SeedRun], failure: Failure) -> None:
        """Go on, each by itself, with those whose own directories tell of no end."""
        alive = [cell for cell in cells if not runs[cell.slug].failed]
        left = [cell for cell in alive if self.study.status(cell).state != "finished"]
        if left and len(runs) == 1:
            self._fail(left[0], failure)
        elif left:
            names = ", ".join(cell.name for cell in left)
            self.observer.on_trouble(f"{names}: {failure.message}; each is tried by itself")
            for cell in left:
                self.run([cell])

    def _fail(self, cell: Cell, failure: Failure) -> None:
        self.study.record_failure(cell, failure.message, failure.details)
