"""One seed's run: where its state stands, and everything it writes into its run directory."""

from collections.abc import Callable, Sequence
from typing import Any

import xarray

from hessdiag.errors import NotFiniteError
from hessdiag.meta.streams import run_keys
from hessdiag.probes.probe import Probe
from hessdiag.record.run_directory import RunDirectory
from hessdiag.train.checkpoint import Checkpoints
from hessdiag.train.interrupt import StopRequest
from hessdiag.train.learner import Info, Learner, TrainState
from hessdiag.train.observer import Observer
from hessdiag.train.settings import Settings, probe_iterations
from hessdiag.train.summary import headline, iteration_record


class SeedRun:
    """The record of one run; what computes its iterations hands them over.

    Args:
        settings: everything that it depends on.
        directory: where it is kept.
        observer: hears of every event.

    Attributes:
        settings: as given.
        keys: its randomness.
        iteration: iterations done.
        failed: the error that ended it early, if one did.
    """

    def __init__(self, settings: Settings, directory: RunDirectory, observer: Observer):
        self.settings = settings
        self.keys = run_keys(settings.seed)
        self.iteration = 0
        self.failed: NotFiniteError | None = None
        self._directory = directory
        self._observer = observer
        self._due = set(probe_iterations(settings))
        self._probes: list[xarray.Dataset] = []
        self._checkpoints = Checkpoints(directory.path / "checkpoints")

    @property
    def is_done(self) -> bool:
        """Whether it has reached its end."""
        return self.failed is None and self.iteration >= self.settings.train.iterations

    @property
    def goes_on(self) -> bool:
        """Whether there are iterations left to do."""
        return self.failed is None and not self.is_done

    def saved(self) -> set[int]:
        """The iterations before which a state is saved."""
        return self._checkpoints.kept()

    def begin(self, learner: Learner, iteration: int) -> TrainState:
        """The state to go on from, as it was saved before `iteration`; the first one before 0."""
        state = learner.init(self.keys.init)
        self.iteration = iteration
        if self.iteration > 0:
            state = self._checkpoints.restore(self.iteration, state)
        self._checkpoints.forget_after(self.iteration)
        self._directory.cut_after(self.iteration)
        self._probes = self._directory.read_probes()
        self.summarise("running")
        return state

    def close(self) -> None:
        """Release what writes checkpoints."""
        self._checkpoints.close()

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Tell the observer how far a phase is."""
        self._observer.on_phase(phase, done, total)

    def save(self, iteration: int, state: TrainState) -> None:
        """Keep the state before `iteration`."""
        self._checkpoints.save(iteration, state)

    def finish(self, state: TrainState) -> None:
        """All iterations are done."""
        self.save(self.iteration, state)
        self.summarise("finished")

    def is_due(self) -> bool:
        """Whether a probe is wanted before the next iteration, and not there yet."""
        return self.iteration in self._due and not self._probe_file().exists()

    def probe(self, prober: Probe, state: TrainState, stop: StopRequest) -> None:
        """Measure before the next iteration; `state` has been saved.

        Raises:
            Interrupted: a stop was requested.
            NotFiniteError: a NaN or an infinity arose.
        """
        t = self.iteration

        def progress(done: int) -> None:
            self.on_phase("probing", done, prober.steps)
            stop.check()

        progress(0)
        try:
            dataset = prober(state, t, keys=self.keys, progress=progress)
        except NotFiniteError as error:
            raise NotFiniteError(
                f"{error} at iteration {t}; the state before that iteration is saved in "
                f"{self._directory.path}"
            ) from error
        self._directory.write_probe(t, dataset)
        self._probes.append(dataset)
        self._observer.on_probe(headline(dataset))
        self.summarise("running")

    def record(
        self, info: Info, before: Callable[[], TrainState], seconds: float, names: Sequence[str]
    ) -> None:
        """An iteration is done.

        Args:
            info: what it told, on the host.
            before: the state that it began with.
            seconds: how long it took.
            names: of the meta-parameters.

        Raises:
            NotFiniteError: a NaN or an infinity arose; the state before it is saved.
        """
        t = self.iteration
        self._refuse_not_finite(info, before)
        record = iteration_record(t, info, names)
        self._directory.append_line("metrics.jsonl", record)
        self._directory.append_line("timings.jsonl", {"iteration": t, "seconds": round(seconds, 6)})
        self.iteration = t + 1
        self._observer.on_iteration(record)
        self.on_phase("training", t + 1, self.settings.train.iterations)

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
        }
        summary["probes"] = [headline(dataset) for dataset in self._probes]
        self._directory.write_json("summary.json", summary)
        self._observer.on_summary()

    def _refuse_not_finite(self, info: Info, before: Callable[[], TrainState]) -> None:
        for stage, finite in info.finite.items():
            if not finite:
                self.save(self.iteration, before())
                raise NotFiniteError(
                    f"NaN or infinity in {stage} at iteration {self.iteration}; the last good "
                    f"state, before that iteration, is saved in {self._directory.path}"
                )

    def _probe_file(self):
        return self._directory.probe_file(self.iteration)
