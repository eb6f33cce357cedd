"""Everything that a run tells, to trackers besides the display; one that fails stops nothing."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from hessdiag.analysis import findings
from hessdiag.errors import printable
from hessdiag.record.run_directory import RunDirectory, read_run
from hessdiag.record.study_directory import CellStatus, StudyDirectory
from hessdiag.record.trackers import TRACKERS, Tracker
from hessdiag.study.grid import Cell
from hessdiag.study.task import StudyObserver
from hessdiag.train.seed_run import Observer

QUANTILES = 1000  # that stand for a spectral measure


@contextmanager
def tracked_study(
    display: StudyObserver, names: Sequence[str], directory: StudyDirectory
) -> Iterator[StudyObserver]:
    """An observer of the study in `directory`, for the display and for a tracker of each name."""
    if not names:
        yield display
        return
    observer = TrackedStudy(display, names, directory)
    try:
        yield observer
    finally:
        observer.close()


@contextmanager
def tracked(display: Observer, names: Sequence[str], path: Path) -> Iterator[Observer]:
    """An observer of the run in `path` for the display, and for the trackers of these names."""
    if not names:
        yield display
        return
    observer = Tracked(display, names, path)
    try:
        yield observer
    finally:
        observer.close()


class TrackedStudy(StudyObserver):
    """The same of a study: trackers of their own for every cell, closed when it no longer runs."""

    def __init__(self, display: StudyObserver, names: Sequence[str], directory: StudyDirectory):
        self._display, self._names, self._directory = display, names, directory
        self._open: dict[str, Tracked] = {}
        self.on_trouble = display.on_trouble

    def on_cell(self, cell: Cell, status: CellStatus) -> None:
        """Pass on; close what was open of a cell that has ended."""
        self._display.on_cell(cell, status)
        if status.state != "running" and cell.slug in self._open:
            self._open.pop(cell.slug).close()

    def observer_of(self, cell: Cell) -> Observer:
        """Who watches the run of a cell."""
        shown, path = self._display.observer_of(cell), self._directory.run_path(cell)
        return self._open.setdefault(cell.slug, Tracked(shown, self._names, path))

    def close(self) -> None:
        """Nothing more comes of any cell."""
        for tracked_cell in self._open.values():
            tracked_cell.close()


class Tracked(Observer):
    """Passes on to a display what it hears, and to trackers what is a number.

    Trackers are opened at the first iteration that they hear of: a resumed run goes on in them.
    """

    def __init__(self, display: Observer, names: Sequence[str], path: Path):
        self._display, self._path = display, path
        self._waiting, self._trackers = list(names), dict[str, Tracker]()
        self.on_phase, self.on_summary = display.on_phase, display.on_summary
        self.on_trouble = display.on_trouble

    def on_iteration(self, record: Mapping[str, Any]) -> None:
        """Its losses, metrics, hyper-parameters and the norm of the meta-gradient."""
        self._display.on_iteration(record)
        step = record["iteration"]
        self._each(step, lambda tracker: tracker.scalars(step, _numbers(record)))

    def on_probe(self, record: Mapping[str, Any]) -> None:
        """Its headline, the spectra of the Hessians, and how often each check found something."""
        self._display.on_probe(record)
        step = record["iteration"]
        probe = read_run(self._path).probes[-1]
        checks = findings(self._path).checks
        numbers = {f"probe/{name}": value for name, value in _numbers(record).items()}
        numbers |= {f"checks/{check.code}": float(check.count) for check in checks}
        measures = dict(_measures(probe))

        def tell(tracker: Tracker) -> None:
            tracker.scalars(step, numbers)
            for name, values in measures.items():
                tracker.histogram(step, name, values)

        self._each(step, tell)

    def _each(self, step: int, tell: Callable[[Tracker], None]) -> None:
        while self._waiting:
            name = self._waiting.pop()
            with self._missed(name):
                config = RunDirectory(self._path).read_json("config.json")
                self._trackers[name] = TRACKERS[name](self._path, step, config["settings"])
        for name, tracker in [*self._trackers.items()]:
            with self._missed(name):
                tell(tracker)

    @contextmanager
    def _missed(self, name: str) -> Iterator[None]:
        """Around what a tracker does: where it fails, it is told once and left alone."""
        try:
            yield
        except Exception as error:  # whatever a tracker's library may raise
            self._trackers.pop(name, None)
            why = " ".join(f"{type(error).__name__}: {error}".split())
            line = f"hessdiag: --log {name} failed ({why}); the run goes on"
            print(printable(line), file=sys.stderr)

    def close(self) -> None:
        """Nothing more comes."""
        for name, tracker in [*self._trackers.items()]:
            with self._missed(name):
                tracker.close()


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a record, with folders for what is nested."""
    numbers: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            numbers |= {f"{name}/{inner}": number for inner, number in _numbers(value).items()}
        elif isinstance(value, int | float) and np.isfinite(value) and name != "iteration":
            numbers[name] = float(value)
    return numbers


def _measures(probe: xarray.Dataset) -> Iterator[tuple[str, np.ndarray]]:
    """Quantiles of the Hessian's spectral measure at every inner step, over unrolls and starts."""
    if "ritz_value" not in probe:
        return
    for step in probe["inner_step"].values:
        held = probe[["ritz_value", "ritz_weight"]].sel(inner_step=step)
        values, weights = held["ritz_value"].values.ravel(), held["ritz_weight"].values.ravel()
        there = np.isfinite(values) & np.isfinite(weights)
        order = np.argsort(values[there])
        values, mass = values[there][order], np.cumsum(weights[there][order])
        if values.size:
            places = np.searchsorted(mass / mass[-1], (np.arange(QUANTILES) + 0.5) / QUANTILES)
            yield f"spectrum/hessian_step_{step}", values[np.minimum(places, values.size - 1)]
