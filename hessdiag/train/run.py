"""The training loop: iterations, probes and checkpoints of one run, or of seeds in lock step."""

import contextlib
import time
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from jax.stages import Lowered

from hessdiag.devices import ONE, Devices
from hessdiag.errors import NotFiniteError, ShortageError, UsageError, ran_out_of_memory
from hessdiag.record.lock import locked
from hessdiag.spectra import one_lapack_thread
from hessdiag.train.ahead import compiled_ahead
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.learner import Info, Learner, TrainState
from hessdiag.train.probe import probe_of
from hessdiag.train.room import fitted
from hessdiag.train.seed_run import SeedRun
from hessdiag.train.settings import end_of_call


class LockStep:
    """The states of `runs` before one iteration: stacked, or a single one as it is."""

    def __init__(self, learner: Learner, runs: Sequence[SeedRun], states: Sequence[TrainState]):
        self.runs = list(runs)
        self._learner = learner
        self._alone = len(runs) == 1
        if self._alone:
            self._states, self._keys = learner.placed(states[0]), runs[0].keys.train
        else:
            self._states = learner.placed_together(states)
            self._keys = jnp.stack([run.keys.train for run in runs])
        self._before = self._states

    def state(self, number: int, *, before: bool = False) -> TrainState:
        """The state of one of the runs, on one device; or `before` the last call."""
        state = self._one(self._before if before else self._states, number)
        return self._learner.devices.first(state)

    def advance(self, iteration: int, end: int, stride: int) -> list[Info]:
        """The iterations of every run until `end`; what each told of the last, on the host."""
        self._before = self._states
        learner = self._learner
        if stride == 1:
            program = learner.step if self._alone else learner.step_together
            operands = (learner.keys_at(self._keys, iteration),)
        else:
            program = learner.advance if self._alone else learner.advance_together
            operands = (self._keys, jnp.asarray(iteration), jnp.asarray(end - iteration))
        self._states, infos = program(self._states, *operands)
        infos = jax.device_get(infos)
        return [self._one(infos, number) for number in range(len(self.runs))]

    def _one(self, stacked, number: int):
        return stacked if self._alone else jax.tree.map(lambda leaf: leaf[number], stacked)


class Run:
    """One run, or several that differ by their seed alone, to be driven to their end.

    Seeds share every compiled program, and train as one, `probe.chunk` of them vmapped. Runs that
    were killed at different iterations go on from the last one that all of them saved, so that
    resuming changes nothing; where there is none, the ones behind catch up first. `stop` is asked
    at every safe point. All devices work for one run, or for all of these. Chunks are smaller than
    the settings say where memory asks for it.

    Raises:
        UsageError: there is too little memory.
    """

    def __init__(self, runs: Sequence[SeedRun], *, stop: StopRequest, devices: Devices = ONE):
        self._runs = list(runs)
        self._stop = stop
        tell = runs[0].observer.on_trouble
        self._settings = fitted(runs[0].settings, seeds=len(runs), tell=tell)
        self._learner = Learner(self._settings, devices=devices)
        self._prober = probe_of(self._learner, self._settings)
        self._saved = time.monotonic()

    @one_lapack_thread
    def go(self) -> None:
        """Train and probe from the last checkpoints, or the beginning, to the end.

        A run in which a NaN or an infinity arises ends there, with its last good state saved; the
        others go on.

        Raises:
            Interrupted: a stop was requested; everything is saved.
            NotFiniteError: no run reached its end.
            ShortageError: memory ran out; a resume goes on from what is saved.
            UsageError: another process has one of the directories.
        """
        for run in self._runs:
            run.observer.on_phase("compiling", 0, 1)
        try:
            with contextlib.ExitStack() as stack:
                for run in self._runs:
                    stack.enter_context(locked(run.path))
                states = self._begun()
                self._compiled = stack.enter_context(compiled_ahead(self._programs(states)))
                self._loop(states)
        except Interrupted:
            for run in self._runs:
                if run.goes_on:
                    run.summarise("interrupted")
            raise
        except (MemoryError, RuntimeError) as error:
            if not ran_out_of_memory(error):
                raise
            raise self._shortage(error) from error
        finally:
            for run in self._runs:
                run.checkpoints.close()
        errors = [run.failed for run in self._runs if run.failed]
        if len(errors) == len(self._runs):
            raise errors[-1]

    def _shortage(self, error: Exception) -> ShortageError:
        """What to say; every run can be gone on with."""
        said = str(error) if isinstance(error, ShortageError) else "the device ran out of memory"
        going = [run for run in self._runs if run.goes_on]
        for run in going:
            run.summarise("interrupted")
        where = f"before iteration {going[0].iteration}, in {going[0].path}: " if going else ""
        return ShortageError(f"{where}{said}; with more of it, --resume goes on from what is saved")

    def _begun(self) -> dict[SeedRun, TrainState]:
        """The states to go on from: of the newest iteration that all saved, if there is one."""
        saved = {run: run.saved() for run in self._runs}
        common = set.intersection(*map(set, saved.values()))
        if not common and [] in saved.values() and max(map(len, saved.values())) == 1:
            saved = {run: [] for run in self._runs}  # killed as they were first saved
        return {
            run: self._begin(run, [t for t in saved[run] if t in common or not common] or [0])
            for run in self._runs
        }

    def _begin(self, run: SeedRun, places: Sequence[int]) -> TrainState:
        """From the first of these iterations whose checkpoint can be read."""
        for earlier, later in zip(places[1:], places, strict=False):
            try:
                return run.begin(self._learner, later)
            except UsageError as error:
                run.observer.on_trouble(f"{error}; going on from iteration {earlier}")
        return run.begin(self._learner, places[-1])

    def _programs(self, states: dict[SeedRun, TrainState]) -> Iterator[Lowered]:
        """Of the probes to come: a core idles while the first iteration is compiled."""
        run = self._runs[0]
        if run.has_probes_to_come:
            state = self._learner.devices.first(states[run])
            yield from self._prober.lowered(state, run.keys)

    def _loop(self, states: dict[SeedRun, TrainState]) -> None:
        self._finish([(run, states[run]) for run in self._runs if run.is_done])
        together = None
        while going := [run for run in self._runs if run.goes_on]:
            first = min(run.iteration for run in going)
            now = [run for run in going if run.iteration == first]
            if together is None or together.runs != now:
                if together is not None:
                    states |= {run: together.state(k) for k, run in enumerate(together.runs)}
                together = LockStep(self._learner, now, [states[run] for run in now])
            self._probe(together)
            if all(run.goes_on for run in now):
                self._advance(together)

    def _probe(self, together: LockStep) -> None:
        due = [(number, run) for number, run in enumerate(together.runs) if run.is_due()]
        if due:
            self._save(together)
            self._compiled()
        for number, run in due:
            try:
                run.probe(self._prober, together.state(number), self._stop)
            except NotFiniteError as error:
                run.fail(error)
            self._saved = time.monotonic()

    def _advance(self, together: LockStep) -> None:
        began, first = time.monotonic(), together.runs[0].iteration
        end = end_of_call(self._settings, first)
        infos = together.advance(first, end, self._settings.train.stride)
        seconds = time.monotonic() - began
        for number, (run, info) in enumerate(zip(together.runs, infos, strict=True)):
            try:
                run.record(info, lambda k=number: together.state(k, before=True), seconds, end=end)
            except NotFiniteError as error:
                run.fail(error)
        minutes = (time.monotonic() - self._saved) / 60.0
        stopping = self._stop.is_made()
        if stopping or minutes >= self._settings.train.checkpoint_minutes:
            self._save(together)
        ended = [number for number, run in enumerate(together.runs) if run.is_done]
        self._finish([(together.runs[number], together.state(number)) for number in ended])
        if stopping and any(run.goes_on for run in self._runs):
            self._stop.check()

    def _finish(self, ended: Sequence[tuple[SeedRun, TrainState]]) -> None:
        """All are saved before one of them counts as finished: none is then left to train alone."""
        for run, state in ended:
            run.save(state)
        for run, _ in ended:
            run.summarise("finished")

    def _save(self, together: LockStep) -> None:
        for number, run in enumerate(together.runs):
            if run.goes_on:
                run.save(together.state(number))
        self._saved = time.monotonic()
