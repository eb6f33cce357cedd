"""Probes of a training loop of one's own, given by plain functions."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import xarray

from hessdiag.analysis import of_run
from hessdiag.api.arguments import require_progress
from hessdiag.api.kept_states import KeptStates
from hessdiag.api.leaf_curvature import LeafCurvature, Where
from hessdiag.api.loop_problem import LoopProblem, Loss, Sampler, from_batches
from hessdiag.api.loop_record import Loop, LoopDirectory
from hessdiag.api.probe_arguments import (
    learned_optimiser,
    require_floats,
    require_functions,
    require_loop_runs,
    require_measure,
    require_number,
    require_optimiser,
    require_optional,
    require_rate,
    require_state_of,
    require_whole,
    sampler,
)
from hessdiag.api.progress import Tell, Watch
from hessdiag.api.trainable import Held
from hessdiag.errors import NotFiniteError
from hessdiag.inner import InnerState
from hessdiag.inner.extras import Optimiser
from hessdiag.meta import Start, System
from hessdiag.meta.streams import run_keys
from hessdiag.meta.system import shown
from hessdiag.probes.probe import Probe as ProbeOfSystem
from hessdiag.report.diagnosis import Diagnosis
from hessdiag.train.presets import from_flat
from hessdiag.train.probe import measured_of
from hessdiag.train.self_test import require_sound_compiler
from hessdiag.train.settings import Settings


@dataclasses.dataclass(frozen=True)
class _Program:
    """What is traced once, and serves all states alike."""

    held: Held
    eta: Any  # shapes and structure of η
    system: System
    measure: ProbeOfSystem
    losses: Callable[..., dict[str, Any]]  # at a state


class Probe:
    """Measures, at any state of a training loop, how noisy its meta-gradients are, and why.

    The loop stays as it is: a probe reads its state and changes nothing. All functions must depend
    on their arguments alone.

    Args:
        inner_loss: (params, eta, batch) → the scalar that inner updates descend.
        optimiser: of the inner updates: any optax transformation, its learning rate included, or
            η → one, where η is in the update itself, as in a learned optimiser.
        learning_rate: α, or inner step count → α: what the operator I − α∇²L uses.
        outer_loss: (params, eta, batch) → the scalar whose gradient in η is the meta-gradient.
        rollout: (params, eta, env_state, key) → (env_state, batch): samples for an inner update.
        batches: key → batch, in place of `rollout` where batches depend on nothing else.
        validation: key → batch for the outer loss; None where it is sampled like the inner ones.
        n: inner updates that the longest meta-gradient looks through.
        clip: gradient → gradient, what comes before the optimiser; None for none.
        where: leaves whose blocks of the inner loss's Hessian are measured besides, each and all
            together, at the first inner step: part of a leaf's path, such as "Dense_0", several
            such, or a function of the path. `Diagnosis.frame("leaves")` is their table.
        momentum: decay β₁ of the optimiser's first moment, for the explanations that use it.
        every: `record` measures at steps that this divides.
        budget: `record` stops measuring when so many meta-gradients are spent; None: no limit.
        seed: of everything random in probes.
        name: what reports call the loop.
        headline: the metric, of those that `record` is given, that reports show.
        measure: settings of probes, such as samples=32, counterfactuals=("no-memory",) or
            operators=("paper",): those of the table "probe" in docs/settings.md.

    Attributes:
        spent: n-step meta-gradients so far; a Hessian product counts as 1/n of one.

    Raises:
        UsageError: A setting is unknown or out of range, or there is not one sampler.
    """

    def __init__(
        self,
        *,
        inner_loss: Loss,
        optimiser: Optimiser | Callable[[Any], Optimiser],
        learning_rate: Any,
        outer_loss: Loss,
        rollout: Sampler | None = None,
        batches: Callable[[Any], Any] | None = None,
        validation: Callable[[Any], Any] | None = None,
        n: int = 5,
        clip: Callable[[Any], Any] | None = None,
        where: Where | None = None,
        momentum: float | None = None,
        every: int = 1,
        budget: float | None = None,
        seed: int = 0,
        name: str = "own loop",
        headline: str = "outer_loss",
        **measure: Any,
    ):
        require_whole("n", n, 1)
        require_whole("every", every, 1)
        require_rate(learning_rate)
        require_number("momentum", momentum, least=0, below=1)
        require_number("budget", budget, least=0)
        require_functions(inner_loss=inner_loss, outer_loss=outer_loss)
        require_optional(rollout=rollout, batches=batches, validation=validation, clip=clip)
        require_optimiser(optimiser)
        sample = sampler(rollout, batches)
        outer_sample = sample if validation is None else from_batches(validation)
        require_measure(measure)
        flat = {f"probe.{key}": value for key, value in measure.items()}
        self.spent = 0.0
        self._settings: Settings = from_flat({"env": name, "n": n, "seed": seed, **flat})
        self._functions = (inner_loss, outer_loss, sample, outer_sample)
        self._optimiser, self._clip = optimiser, clip
        self._rate = learning_rate if callable(learning_rate) else lambda _: learning_rate
        self._momentum, self._every, self._budget = momentum, every, budget
        self._headline = headline
        self._leaves = LeafCurvature(inner_loss, sample, where)
        self._kept = KeptStates()
        self._directories: dict[Path, LoopDirectory] = {}
        self._program: _Program | None = None

    def __call__(
        self,
        params: Any,
        opt_state: Any,
        eta: Any,
        env_state: Any = None,
        *,
        step: int = 0,
        progress: Tell | bool | None = None,
    ) -> Diagnosis:
        """Measure at a state.

        Args:
            params: θ, any pytree; leaves that are no floating arrays are held constant.
            opt_state: of the inner optimiser, from ``optimiser.init(hessdiag.trainable(params))``.
            eta: η, any pytree of floats.
            env_state: what `rollout` continues.
            step: inner updates so far: the learning rate reads it, and the randomness of the probe
                depends on it.
            progress: called with the units of work done, and all of them; what it raises ends the
                call. None for a bar in terminals and notebooks, where it takes long; False for
                neither.

        Raises:
            UsageError: `opt_state` is of other parameters than `params`; a function fails.
            NotFiniteError: A loss or a meta-gradient is NaN or infinite.
        """
        dataset, loop = self._measure(step, (params, opt_state, eta, env_state), progress)
        return Diagnosis(of_run(loop.run([dataset])))

    def record(
        self,
        directory: str | Path,
        params: Any,
        opt_state: Any,
        eta: Any,
        env_state: Any = None,
        *,
        step: int,
        metrics: dict[str, float] | None = None,
        progress: Tell | bool | None = None,
    ) -> Diagnosis | None:
        """Measure at a state, where it is due, and keep it in a run directory with its report.

        ``hessdiag show`` and ``hessdiag report`` read the directory like that of any run.

        Args:
            directory: of the run: a new one, or one of this loop.
            params: as for a call.
            opt_state: as for a call.
            eta: as for a call.
            env_state: as for a call.
            step: inner updates so far. `every` and `budget` say whether it is measured.
            metrics: figures of merit at this step, kept whether it is measured or not. Where a loop
                begins again at an earlier step, what was recorded from there on is forgotten.
            progress: as for a call.

        Returns:
            What all probes of the directory say; None where nothing was measured.

        Raises:
            UsageError: The directory is not of this loop, or cannot be written.
        """
        path = Path(directory).expanduser()
        if path not in self._directories:
            loop = self._loop(self._program_for(params, eta, env_state).system)
            self._directories[path] = LoopDirectory(path, loop, step)
        self._directories[path].note(step, eta, metrics or {})
        is_spent = self._budget is not None and self.spent >= self._budget
        if is_spent or step % self._every:
            return None
        dataset, _ = self._measure(step, (params, opt_state, eta, env_state), progress)
        return Diagnosis(of_run(self._directories[path].add(step, dataset)))

    def keep(self, step: Any, params: Any, opt_state: Any, eta: Any, env_state: Any = None) -> None:
        """Keep a state that is due, from inside a compiled loop; `record_kept` measures it.

        Call it in a function under `jax.jit` or `jax.lax.scan`: states that `every` divides are
        copied to the host, and nothing is measured before the compiled loop has ended.
        """
        self._kept.keep(step, self._every, (params, opt_state, eta, env_state))

    def record_kept(self, directory: str | Path) -> Diagnosis | None:
        """Measure all states that `keep` kept, in order, as `record` does; and forget them."""
        found = None
        for step, state in self._kept.take():
            found = self.record(directory, *state, step=step) or found
        return found

    def _measure(
        self,
        step: int,
        state: tuple[Any, Any, Any, Any],  # params, opt_state, eta, env_state
        progress: Tell | bool | None,
    ) -> tuple[xarray.Dataset, Loop]:
        params, opt_state, eta, env_state = state
        require_whole("step", step, 0)
        require_progress(progress)
        require_sound_compiler()
        program = self._program_for(params, eta, env_state)
        self._leaves.require_there(params)
        floats = program.held.floats(params)
        require_state_of(program.system.update.optimiser, floats, opt_state)
        inner = InnerState(floats, opt_state, jnp.asarray(step, jnp.int32))
        start = Start(inner, program.system.eta_space.ravel(eta), env_state)
        keys = run_keys(self._settings.seed)
        for name, value in program.losses(floats, eta, env_state, keys.probe).items():
            if not jnp.isfinite(value):
                raise NotFiniteError(f"{name}: {value} at step {step}; allowed: a finite number")
        with Watch(program.measure.steps, progress, what="probe") as watch:
            dataset = program.measure(start, step, keys=keys, progress=watch.note)
        samples = self._settings.probe.samples
        products = float(dataset.matvecs.sum())
        if self._leaves.are_wanted:
            blocks = self._leaves.measure(params, eta, env_state, keys, step, self._settings.probe)
            dataset = dataset.merge(blocks)
            products += float(blocks.leaf_matvecs)
        self.spent += samples * dataset.sizes.get("cut", 1) + products / self._settings.n
        return dataset, self._loop(program.system)

    def _system(self, problem: Any, eta: Any) -> System:
        if isinstance(self._optimiser, Optimiser):
            return System.of(problem, self._optimiser, self._rate, clip=self._clip)
        learned = self._optimiser
        system = System.of(problem, learned_optimiser(learned, eta), self._rate, clip=self._clip)
        unravel = system.eta_space.unravel
        update = dataclasses.replace(system.update, optimiser_of=lambda eta: learned(unravel(eta)))
        return dataclasses.replace(system, update=update)

    def _loop(self, system: System) -> Loop:
        return Loop(self._settings, shown(system.names), self._headline)

    def _program_for(self, params: Any, eta: Any, env_state: Any) -> _Program:
        """The program traced for such a state, or a new one where other leaves are held."""
        held = Held.of(params)
        require_floats(params, eta, held.floats(params))
        shapes = jax.tree.flatten(jax.eval_shape(lambda: eta))
        kept = self._program
        if kept is not None and kept.held.same_as(held) and kept.eta == shapes:
            return kept
        problem = LoopProblem(*self._functions, eta, held)
        require_loop_runs(problem, held.floats(params), eta, env_state)
        system = self._system(problem, eta)
        measured = measured_of(system, lambda start, _: start, self._settings, self._momentum)
        losses = jax.jit(problem.losses)
        self._program = _Program(held, shapes, system, ProbeOfSystem(measured), losses)
        return self._program


def diagnose(
    params: Any,
    opt_state: Any,
    eta: Any,
    env_state: Any = None,
    *,
    step: int = 0,
    progress: Tell | bool | None = None,
    **loop: Any,
) -> Diagnosis:
    """Measure at one state of a training loop; see `Probe` for `loop` and what is returned."""
    return Probe(**loop)(params, opt_state, eta, env_state, step=step, progress=progress)
