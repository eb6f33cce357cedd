"""The training loop: iterations, probes, checkpoints, and the run directory they fill."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray

from hessdiag import variance
from hessdiag.errors import NotFiniteError, UsageError
from hessdiag.rl.networks import count_parameters
from hessdiag.train.checkpoint import Checkpoints
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.learner import Info, Learner, TrainState
from hessdiag.train.observer import Observer
from hessdiag.train.probe import Prober
from hessdiag.train.provenance import provenance
from hessdiag.train.run_directory import RunDirectory
from hessdiag.train.settings import Settings, flatten, from_flat, probe_iterations

OUR_CHOICES = (
    "Training continues from the environments' state after the first rollout of an unroll; the "
    "rollouts looked ahead are discarded with the parameters they led to.",
    "Every i-step meta-gradient is validated on a fresh rollout from θ^(i), independent of the "
    "trajectories that the inner updates learn from.",
    "The learning-rate schedule goes on through an unroll: inner step j at iteration t uses "
    "α_{t+j}.",
    "Meta-gradients and their standard deviations are with respect to the unconstrained η.",
    "Probes are spaced evenly inside training; the last iterations are left out, because the "
    "annealed learning rate makes every meta-gradient vanish there.",
)


def start(settings: Settings, path: Path, *, command: str) -> RunDirectory:
    """Make the directory of a new run.

    Raises:
        UsageError: it exists or cannot be written.
    """
    learner = Learner(settings)
    about = learner.problem.about
    params, _ = jax.eval_shape(learner.problem.init, jax.random.key(0))
    return RunDirectory.create(
        path,
        {
            "settings": dataclasses.asdict(settings),
            "provenance": provenance(command),
            "meta_parameters": [
                {"name": p.name, "start": p.start, "transform": p.transform}
                for p in learner.update.meta_parameters
            ],
            "problem": {
                "description": about.summary,
                "headline": about.headline,
                "parameters": count_parameters(params),
            },
            "our_choices": [*about.choices, *OUR_CHOICES],
        },
    )


def reopen(path: Path) -> tuple[Settings, RunDirectory]:
    """The settings and the directory of a run to go on with.

    Raises:
        UsageError: no run directory, a damaged one, or one of a newer format.
    """
    directory = RunDirectory.open(path)
    stored = directory.read_json("config.json").get("settings")
    if not isinstance(stored, Mapping):
        raise UsageError(f"--resume: {path}/config.json is damaged (it has no settings)")
    flat: dict[str, Any] = {}
    for key, value in stored.items():
        table = value if isinstance(value, Mapping) else None
        flat |= {key: value} if table is None else {f"{key}.{k}": v for k, v in table.items()}
    try:
        return from_flat(flat), directory
    except UsageError as error:
        raise UsageError(f"--resume: {path}/config.json is damaged ({error})") from error


class Run:
    """One run, new or resumed, to be driven to its end.

    Args:
        settings: everything that it depends on.
        directory: where it is kept.
        observer: hears of every event.
        stop: asked at every safe point.
    """

    def __init__(
        self, settings: Settings, directory: RunDirectory, *, observer: Observer, stop: StopRequest
    ):
        self._settings = settings
        self._directory = directory
        self._observer = observer
        self._stop = stop
        self._learner = Learner(settings)
        self._prober = Prober(self._learner, settings)
        self._probes: list[xarray.Dataset] = []
        self._checkpoints = Checkpoints(directory.path / "checkpoints")
        self._names = [p.name for p in self._learner.update.meta_parameters]

    def go(self) -> None:
        """Train and probe from the last checkpoint, or the beginning, to the end.

        Raises:
            Interrupted: a stop was requested; everything is saved.
            NotFiniteError: a NaN or an infinity arose; the last good state is saved.
        """
        self._observer.on_phase("compiling", 0, 1)
        iteration, state = self._begin()
        try:
            self._loop(iteration, state)
        except NotFiniteError as error:
            self._summarise("failed", message=str(error))
            raise
        except Interrupted:
            self._summarise("interrupted")
            raise
        finally:
            self._checkpoints.close()

    def _begin(self) -> tuple[int, TrainState]:
        state = self._learner.init()
        iteration = self._checkpoints.latest() or 0
        if iteration > 0:
            state = self._checkpoints.restore(iteration, state)
        self._directory.cut_after(iteration)
        self._probes = self._directory.read_probes()
        self._iteration = iteration
        return iteration, state

    def _loop(self, first: int, state: TrainState) -> None:
        iterations = self._settings.train.iterations
        due = set(probe_iterations(self._settings))
        saved = time.monotonic()
        self._summarise("running")
        for t in range(first, iterations):
            self._iteration = t
            if t in due and not self._directory.probe_file(t).exists():
                self._probe(t, state)
                saved = time.monotonic()
            state = self._iterate(t, state)
            self._iteration = t + 1
            minutes = (time.monotonic() - saved) / 60.0
            stopping = self._stop.signal_number is not None
            if stopping or minutes >= self._settings.train.checkpoint_minutes:
                self._checkpoints.save(t + 1, state)
                saved = time.monotonic()
            if stopping and t + 1 < iterations:
                self._stop.check()
        self._checkpoints.save(iterations, state)
        self._summarise("finished")

    def _iterate(self, t: int, state: TrainState) -> TrainState:
        began = time.monotonic()
        after, info = self._learner.step(state, jax.random.fold_in(self._learner.keys["train"], t))
        info = jax.device_get(info)
        self._refuse_not_finite(t, state, info)
        record = self._record(t, info)
        self._directory.append_line("metrics.jsonl", record)
        seconds = time.monotonic() - began
        self._directory.append_line("timings.jsonl", {"iteration": t, "seconds": round(seconds, 6)})
        self._observer.on_iteration(record)
        self._observer.on_phase("training", t + 1, self._settings.train.iterations)
        return after

    def _refuse_not_finite(self, t: int, state: TrainState, info: Info) -> None:
        for stage, finite in info.finite.items():
            if not finite:
                self._checkpoints.save(t, state)
                raise NotFiniteError(
                    f"NaN or infinity in {stage} at iteration {t}; the last good state, before "
                    f"that iteration, is saved in {self._directory.path}"
                )

    def _probe(self, t: int, state: TrainState) -> None:
        self._checkpoints.save(t, state)

        def progress(done: int) -> None:
            self._observer.on_phase("probing", done, self._prober.steps)
            self._stop.check()

        progress(0)
        try:
            dataset = self._prober.probe(state, t, progress=progress)
        except NotFiniteError as error:
            raise NotFiniteError(
                f"{error} at iteration {t}; the state before that iteration is saved in "
                f"{self._directory.path}"
            ) from error
        self._directory.write_probe(t, dataset)
        self._probes.append(dataset)
        self._observer.on_probe(headline(dataset))
        self._summarise("running")

    def _record(self, t: int, info: Info) -> dict[str, Any]:
        """The line of metrics.jsonl; null stands for what is not defined."""

        def by_name(values) -> dict[str, float | None]:
            return {name: _plain(values[k]) for k, name in enumerate(self._names)}

        return {
            "iteration": t,
            "learning_rate": _plain(info.learning_rate),
            "inner_loss": _plain(info.inner_loss),
            "outer_loss": _plain(info.outer_loss),
            "metrics": {name: _plain(value) for name, value in info.metrics.items()},
            "hyper": {name: _plain(info.hyper[name]) for name in self._names},
            "eta": by_name(info.eta),
            "meta_gradient": by_name(info.meta_gradient),
            "meta_gradient_norm": _plain(np.linalg.norm(info.meta_gradient)),
        }

    def _summarise(self, status: str, *, message: str | None = None) -> None:
        correlations = variance.correlations(self._probes)
        self._directory.write_json(
            "summary.json",
            {
                "status": status,
                "iteration": self._iteration,
                "iterations": self._settings.train.iterations,
                "finding": variance.finding(self._probes),
                "message": message,
                "correlation": {
                    label: {
                        "value": found.value,
                        "low": found.low,
                        "high": found.high,
                        "probes": found.points,
                        "method": "Spearman",
                    }
                    for label, found in correlations.items()
                },
                "probes": [headline(dataset) for dataset in self._probes],
            },
        )
        self._observer.on_summary()


def headline(dataset: xarray.Dataset) -> dict[str, Any]:
    """The few numbers of a probe that a terminal shows."""
    record: dict[str, Any] = {"iteration": int(dataset.attrs["iteration"])}
    if "growth" not in dataset:
        return record
    last = dataset.isel(horizon=-1)
    growth = last.sel(estimator=dataset.attrs["headline_estimator"])
    at = int(np.argmax(dataset.spectral_radius_minus_one.fillna(-np.inf).values))
    read: dict[str, Callable[[], Any]] = {
        "growth": lambda: growth.growth,
        "growth_low": lambda: growth.growth_low,
        "growth_high": lambda: growth.growth_high,
        "predicted": lambda: last.prediction.isel(explanation=0),
        "spectral_radius_minus_one": lambda: dataset.spectral_radius_minus_one.values.flat[at],
        "spectral_radius_minus_one_error": (
            lambda: dataset.spectral_radius_minus_one_error.values.flat[at]
        ),
        "mass_above_zero": lambda: dataset.mass_above_zero.mean(),
    }
    record |= {name: _plain(value()) for name, value in read.items()}
    record["matvecs"] = int(dataset.matvecs.sum())
    record["converged"] = bool(dataset.converged.all())
    return record


def _plain(value) -> float | None:
    """A JSON number, or null for NaN and infinity."""
    number = float(value)
    return number if math.isfinite(number) else None


__all__ = ["Run", "flatten", "headline", "reopen", "start"]
