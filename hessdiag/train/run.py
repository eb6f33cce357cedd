"""The training loop: iterations, probes and checkpoints, filling a run directory."""

import time

import jax
import xarray

from hessdiag.errors import NotFiniteError
from hessdiag.spectra import one_lapack_thread
from hessdiag.train.checkpoint import Checkpoints
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.learner import Info, Learner, TrainState
from hessdiag.train.observer import Observer
from hessdiag.train.probe import Prober
from hessdiag.train.run_directory import RunDirectory
from hessdiag.train.settings import Settings, probe_iterations
from hessdiag.train.summary import conclusions, headline, iteration_record


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

    @one_lapack_thread
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
        record = iteration_record(t, info, self._names)
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

    def _summarise(self, status: str, *, message: str | None = None) -> None:
        summary = {
            "status": status,
            "iteration": self._iteration,
            "iterations": self._settings.train.iterations,
            "message": message,
        }
        self._directory.write_json("summary.json", summary | conclusions(self._probes))
        self._observer.on_summary()
