"""How long seeds will take and how much memory, from a short calibration on this machine."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from hessdiag.inner import linearised_step
from hessdiag.meta import System
from hessdiag.meta.streams import run_keys
from hessdiag.study.timed import Program, timed
from hessdiag.train.learner import Learner, TrainState
from hessdiag.train.memory import needed
from hessdiag.train.probe import measured_by, sampling_programs
from hessdiag.train.self_test import set_up_compilation
from hessdiag.train.settings import Settings, measured_horizon, probe_iterations

_STRIDE = 16  # iterations of a call that is timed, at most


class Estimate(NamedTuple):
    """What seeds that train together are expected to take; rough: caches and convergence decide.

    Probes are meta-gradients, their parts, and Hessian products as if none converged early; other
    operators count as one more Hessian each.
    """

    compile_seconds: float  # of the programs calibrated; more are compiled for spectra
    training_seconds: float  # of all iterations, of all seeds together
    probe_seconds: float  # of all probes of one seed
    memory_bytes: int  # beside what imports take


def calibrate(settings: Settings, seeds: int = 1) -> Estimate:
    """Time a training step of `seeds` runs as one program, a Hessian product, and the sampling."""
    set_up_compilation()
    learner, run = Learner(settings), run_keys(settings.seed)
    state, key = learner.init(run.init), run.train
    step = _step(learner, state, key, seeds, settings.train.stride)
    calls: list[tuple[Program, int]] = []  # in one probe
    n, chunk = measured_horizon(settings), settings.probe.chunk
    probes = len(probe_iterations(settings)) if n else 0
    if probes:
        product = timed(jax.jit(partial(_product, learner.system)), state, key)
        calls.append((product, _spectra(settings, n)))
        keys = key if chunk == 1 else jax.random.split(key, chunk)
        for program, number in sampling_programs(measured_by(learner, settings)):
            calls.append((timed(program, state, keys), number))
    programs = [step, *(program for program, _ in calls)]
    return Estimate(
        compile_seconds=sum(program.compile_seconds for program in programs),
        training_seconds=settings.train.iterations * step.seconds,
        probe_seconds=probes * sum(program.seconds * number for program, number in calls),
        memory_bytes=needed(settings, seeds=seeds),
    )


def _step(
    learner: Learner, state: TrainState, key: PRNGKeyArray, seeds: int, stride: int
) -> Program:
    """An iteration of all seeds, by the program that they will train with."""
    keys = key
    if seeds > 1:
        state = jax.tree.map(lambda leaf: jnp.stack([leaf] * seeds), state)
        keys = jax.random.split(key, seeds)
    if stride == 1:
        return timed(learner.step if seeds == 1 else learner.step_together, state, keys)
    program = learner.advance if seeds == 1 else learner.advance_together
    count = min(stride, _STRIDE)
    called = timed(program, state, keys, jnp.asarray(0), jnp.asarray(count))
    return called._replace(seconds=called.seconds / count)


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
