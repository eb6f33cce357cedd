"""One seed's run: where its state stands, and everything it tells and writes."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from hessdiag.errors import NotFiniteError, UsageError
from hessdiag.meta.streams import run_keys
from hessdiag.meta.system import shown
from hessdiag.probes.probe import Probe
from hessdiag.record.documents import damaged
from hessdiag.record.run_directory import RunDirectory
from hessdiag.train.checkpoint import Checkpoints
from hessdiag.train.interrupt import StopRequest
from hessdiag.train.learner import Info, Learner, TrainState
from hessdiag.train.settings import Settings, probe_iterations


class Observer:
    """Hears of every event of a run; this one ignores them all."""

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """A phase ("compiling", "training", "probing") has reached `done` of `total`."""

    def on_iteration(self, record: Mapping[str, Any]) -> None:
        """One iteration or a stride of them is done; `record` is the line in metrics.jsonl."""

    def on_trouble(self, message: str) -> None:
        """Something is damaged that stops nothing; one line."""

    def on_probe(self, record: Mapping[str, Any]) -> None:
        """A probe is written; `record` holds its headline numbers."""

    def on_summary(self) -> None:
        """summary.json is up to date: the moment to make a report."""


class SeedRun:
    """The record of one run in its directory; what computes its iterations hands them over."""

    def __init__(self, settings: Settings, directory: RunDirectory, observer: Observer):
        self.settings = settings
        self.observer = observer  # hears of every event
        self.keys = run_keys(settings.seed)
        self.checkpoints = Checkpoints(directory.path / "checkpoints")
        self.iteration = 0  # how many are done
        self.failed: NotFiniteError | None = None  # what ended it early
        self._directory = directory
        self._due = set(probe_iterations(settings))
        self._names: tuple[str, ...] = ()  # of the meta-parameters
        self._probes: list[xarray.Dataset] = []

    @property
    def path(self) -> Path:
        """Of its directory."""
        return self._directory.path

    @property
    def is_done(self) -> bool:
        """Whether it has reached its end."""
        return self.failed is None and self.iteration >= self.settings.train.iterations

    @property
    def goes_on(self) -> bool:
        """Whether there are iterations left to do."""
        return self.failed is None and not self.is_done

    def saved(self) -> list[int]:
        """The iterations to go on from, newest first: saved, and all before them is there.

        Raises:
            UsageError: something before every checkpoint is damaged.
        """
        usable, trouble = [], None
        for iteration in sorted(self.checkpoints.kept(), reverse=True):
            try:
                self._require_whole(iteration)
                usable.append(iteration)
            except UsageError as error:
                trouble = error
        if trouble and not usable:
            raise trouble
        if trouble:
            self.observer.on_trouble(f"{trouble}; going on from iteration {usable[0]}")
        return usable

    def _require_whole(self, iteration: int) -> None:
        """Refuse a checkpoint before which a file is not as it was."""
        record = self.checkpoints.note(iteration).get("record")
        if record and (file := self._directory.changed_since(record)):
            raise damaged(file, f"it is not as it was at iteration {iteration}")
        if not record and self._directory.whole_until() < iteration:
            raise damaged(self.path, f"lines or a probe before iteration {iteration} are missing")

    def begin(self, learner: Learner, iteration: int) -> TrainState:
        """The state to go on from, as it was saved before `iteration`; the first one before 0."""
        state = learner.init(self.keys.init)
        if iteration > 0:
            state = self.checkpoints.restore(iteration, state)
        self.checkpoints.forget_after(iteration)
        self._directory.cut_after(iteration)
        self.iteration = iteration
        self._names = shown(learner.system.names)
        self._probes = self._directory.read_probes()
        self.summarise("running")
        return state

    def save(self, state: TrainState, *, iteration: int | None = None) -> None:
        """A checkpoint, of this iteration if no other is said; the lines before it come first."""
        self._directory.sync_lines()
        record = self._directory.record()
        self.checkpoints.save(self.iteration if iteration is None else iteration, state, record)

    @property
    def has_probes_to_come(self) -> bool:
        """Whether a probe is wanted after the next iteration, or later."""
        return any(due > self.iteration for due in self._due)

    def is_due(self) -> bool:
        """Whether a probe is wanted before the next iteration, and not there yet."""
        t = self.iteration
        return t in self._due and not self._directory.probe_file(t).exists()

    def probe(self, prober: Probe, state: TrainState, stop: StopRequest) -> None:
        """Measure before the next iteration; `state` has been saved.

        Raises:
            Interrupted: a stop was requested.
            NotFiniteError: a NaN or an infinity arose.
        """

        def progress(done: int) -> None:
            self.observer.on_phase("probing", done, prober.steps)
            stop.check()

        progress(0)
        try:
            dataset = prober(
                state,
                self.iteration,
                keys=self.keys,
                progress=progress,
                tell=self.observer.on_trouble,
            )
        except NotFiniteError as error:
            raise NotFiniteError(
                f"{error} at iteration {self.iteration}; the state before that iteration is saved "
                f"in {self._directory.path}"
            ) from error
        self._directory.write_probe(self.iteration, dataset)
        self._probes.append(dataset)
        self.observer.on_probe(headline(dataset))
        self.summarise("running")

    def record(
        self, info: Info, before: Callable[[], TrainState], seconds: float, *, end: int
    ) -> None:
        """The iterations before `end` are done.

        Args:
            info: what the last of them told.
            before: the state that the first of them began with.
            seconds: how long they took.
            end: the next iteration.

        Raises:
            NotFiniteError: a NaN or an infinity arose; the state before them is saved.
        """
        first, last = self.iteration, end - 1
        for stage, finite in info.finite.items():
            if not finite:
                self.save(before(), iteration=first)
                where = f"iteration {last}" if first == last else f"iterations {first} to {last}"
                raise NotFiniteError(
                    f"NaN or infinity in {stage} at {where}; the last good state, before iteration "
                    f"{first}, is saved in {self._directory.path}"
                )
        done = {} if self.settings.train.stride == 1 else {"iterations": end - first}
        record = _iteration_record(last, info, self._names) | done
        timing = {"iteration": last, "seconds": round(seconds, 6)} | done
        self._directory.append_line("metrics.jsonl", record)
        self._directory.append_line("timings.jsonl", timing)
        self.iteration = end
        self.observer.on_iteration(record)
        self.observer.on_phase("training", end, self.settings.train.iterations)

    def fail(self, error: NotFiniteError) -> None:
        """Nothing more can be done."""
        self.failed = error
        self.summarise("failed", message=str(error))

    def summarise(self, status: str, *, message: str | None = None) -> None:
        """Bring summary.json up to date."""
        summary: dict[str, Any] = {
            "status": status,
            "iteration": self.iteration,
            "iterations": self.settings.train.iterations,
            "message": message,
            "probes": [headline(dataset) for dataset in self._probes],
            "record": self._directory.record(),
        }
        self._directory.write_json("summary.json", summary)
        self.observer.on_summary()


def _iteration_record(t: int, info: Info, names: Sequence[str]) -> dict[str, Any]:
    """The line of metrics.jsonl of iteration t; null stands for what is not defined."""

    def by_name(values) -> dict[str, float | None]:
        return {name: plain_number(values[k]) for k, name in enumerate(names)}

    return {
        "iteration": t,
        "learning_rate": plain_number(info.learning_rate),
        "inner_loss": plain_number(info.inner_loss),
        "outer_loss": plain_number(info.outer_loss),
        "metrics": {name: plain_number(value) for name, value in info.metrics.items()},
        "hyper": {name: plain_number(value) for name, value in info.hyper.items()},
        "eta": by_name(info.eta),
        "meta_gradient": by_name(info.meta_gradient),
        "meta_gradient_norm": plain_number(np.linalg.norm(info.meta_gradient)),
    }


def headline(dataset: xarray.Dataset) -> dict[str, Any]:
    """The few numbers of a probe that a terminal shows."""
    record: dict[str, Any] = {"iteration": int(dataset.attrs["iteration"])}
    if "growth" not in dataset:
        return record
    last = dataset.isel(horizon=-1)
    growth = last.sel(estimator=dataset.attrs["headline_estimator"])
    radius = dataset.spectral_radius_minus_one
    largest = int(np.argmax(radius.fillna(-np.inf).values))
    numbers = {
        "growth": growth.growth,
        "growth_low": growth.growth_low,
        "growth_high": growth.growth_high,
        "predicted": last.prediction.isel(explanation=0),
        "spectral_radius_minus_one": radius.values.flat[largest],
        "spectral_radius_minus_one_error": (
            dataset.spectral_radius_minus_one_error.values.flat[largest]
        ),
        "mass_above_zero": dataset.mass_above_zero.mean(),
    }
    record |= {name: plain_number(value) for name, value in numbers.items()}
    record["matvecs"] = int(dataset.matvecs.sum())
    record["converged"] = bool(dataset.converged.all())
    return record


def plain_number(value) -> float | None:
    """A JSON number, or null for NaN and infinity."""
    number = float(value)
    return number if math.isfinite(number) else None
