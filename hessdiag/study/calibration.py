"""How long seeds will take and how much memory, from a short calibration on this machine."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from hessdiag.inner import linearised_step
from hessdiag.meta import System
from hessdiag.meta.streams import run_keys
from hessdiag.probes.mechanism import MechanismProbe
from hessdiag.probes.spread import SpreadProbe
from hessdiag.train.learner import Learner, TrainState
from hessdiag.train.probe import measured_by
from hessdiag.train.settings import Settings, measured_horizon, probe_iterations


@dataclass(frozen=True)
class Estimate:
    """What seeds that train together are expected to take; rough: caches and convergence decide.

    Attributes:
        compile_seconds: of the programs calibrated; more are compiled for spectra.
        training_seconds: of all iterations, of all seeds together.
        probe_seconds: of all probes of one seed: meta-gradients, their parts, and Hessian products
            as if none converged early. Other operators count as one more Hessian each.
        memory_bytes: of the largest program's arguments and temporaries; the process itself needs
            some hundred MiB more.
    """

    compile_seconds: float
    training_seconds: float
    probe_seconds: float
    memory_bytes: int


def calibrate(settings: Settings, *, seeds: int = 1) -> Estimate:
    """Time a training step, one Hessian product, and one call of what samples meta-gradients.

    Args:
        settings: of the runs; their seed does not matter.
        seeds: how many train as one program.
    """
    learner = Learner(settings)
    keys = run_keys(settings.seed)
    state, key = learner.init(keys.init), keys.train
    step = _step(learner, state, key, seeds)
    programs = [step]
    probes = len(probe_iterations(settings))
    n = measured_horizon(settings)
    probe_seconds = 0.0
    if probes and n:
        product = _measure(jax.jit(partial(_product, learner.system)), state, key)
        calls = [(product, _spectra(settings, n))]
        for program, number in _sampling(learner, settings):
            keys = key if settings.probe.chunk == 1 else jax.random.split(key, settings.probe.chunk)
            calls.append((_measure(program, state, keys), number))
        programs += [program for program, _ in calls]
        probe_seconds = probes * sum(program.seconds * number for program, number in calls)
    return Estimate(
        compile_seconds=sum(program.compile_seconds for program in programs),
        training_seconds=settings.train.iterations * step.seconds,
        probe_seconds=probe_seconds,
        memory_bytes=max(program.memory_bytes for program in programs),
    )


@dataclass(frozen=True)
class _Program:
    compile_seconds: float
    seconds: float
    memory_bytes: int


def _measure(program: Any, *arguments: Any) -> _Program:
    """Compile, warm up, and time the faster of two calls."""
    began = time.perf_counter()
    compiled = program.lower(*arguments).compile()
    compile_seconds = time.perf_counter() - began
    call: Callable = lambda: jax.block_until_ready(compiled(*arguments))  # noqa: E731
    call()
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    memory = compiled.memory_analysis()
    sizes = ("argument_size_in_bytes", "temp_size_in_bytes", "output_size_in_bytes")
    return _Program(
        compile_seconds, min(seconds), sum(int(getattr(memory, size, 0)) for size in sizes)
    )


def _step(learner: Learner, state: TrainState, key: PRNGKeyArray, seeds: int) -> _Program:
    """An iteration of all seeds, by the program that they will train with."""
    if seeds == 1:
        return _measure(learner.step, state, key)
    states = jax.tree.map(lambda leaf: jnp.stack([leaf] * seeds), state)
    return _measure(learner.step_together, states, jax.random.split(key, seeds))


def _sampling(learner: Learner, settings: Settings) -> list[tuple[Any, int]]:
    """The programs that sample meta-gradients and their parts, and the calls of each in a probe."""
    measured = measured_by(learner, settings)
    mechanism = MechanismProbe(measured)
    programs = mechanism.programs
    if not mechanism.covers_all_horizons:
        chunks = SpreadProbe(measured).chunks
        programs.append((chunks.program, chunks.calls(settings.probe.samples)))
    return programs


def _product(system: System, state: TrainState, key):
    """One Hessian product with its linearisation, which spectra share among many."""
    _, trajectories = system.rollout(state.inner.params, state.eta, state.env_state, key)
    step = linearised_step(system.update, state.inner, trajectories, state.eta)
    return step.hessian.product(step.gradient)


def _spectra(settings: Settings, n: int) -> int:
    """Hessian products of one probe at the most."""
    probe = settings.probe
    hessians = n * probe.unrolls * probe.starts
    others = n * probe.operator_unrolls * len(probe.operators) * (1 + probe.products)
    paths = n * probe.operator_unrolls * (probe.products and bool(probe.counterfactuals))
    return (hessians + others + paths) * probe.max_matvecs
