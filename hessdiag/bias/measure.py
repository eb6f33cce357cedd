"""One point of a sweep: K meta-gradients at the start of training, and the exact one."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from hessdiag.bias.plan import Point, Sweep
from hessdiag.bias.reference import enumerated, require_exact
from hessdiag.meta import Start, again, streams
from hessdiag.study.grid import Cell
from hessdiag.train.learner import Learner, TrainState
from hessdiag.train.presets import resolve


def measured(point: Point, sweep: Sweep) -> xr.Dataset:
    """Meta-gradients (replicate, sample, meta_parameter) and exact ones, in double precision.

    Raises:
        UsageError: the reference is not exact.
    """
    with jax.enable_x64(True):
        settings = point.cells[0].settings
        learner = Learner(settings)
        states = [_state(cell) for cell in point.cells]
        program = jax.jit(lambda state, keys: _estimates(learner, state, keys))
        chunk, samples = settings.probe.chunk, settings.probe.samples
        estimates = []
        for cell, state in zip(point.cells, states, strict=True):
            keys = streams.samples(streams.run_keys(cell.settings.seed).probe, 0, samples)
            parts = np.array_split(np.arange(samples), max(1, samples // chunk))
            estimates.append(np.concatenate([program(state, keys[part]) for part in parts]))
        exact = _exact(learner, point, sweep, states)
    axes = ("replicate", "sample", "meta_parameter")
    return xr.Dataset(
        {
            "meta_gradient": (axes, np.stack(estimates)),
            "exact": (axes[::2], exact),
        },
        attrs={"sweep": point.sweep, "at": point.at},
    )


def _state(cell: Cell) -> TrainState:
    """The state before the first iteration."""
    return Learner(cell.settings).init(streams.run_keys(cell.settings.seed).init)


def _start(learner: Learner, state: TrainState, key: Any) -> Start:
    """Where a sample starts; what its environments are is said by the state alone."""
    return learner.start(state, key)._replace(env_state=state.env_state)


def _estimates(learner: Learner, state: TrainState, keys: Any) -> Any:
    def one(key):
        start = _start(learner, state, key)
        return learner.estimator(learner.system, start, key, state.memory).meta_gradient

    return jax.vmap(one)(keys)


def _exact(
    learner: Learner, point: Point, sweep: Sweep, states: Sequence[TrainState]
) -> np.ndarray:
    """(replicate, meta_parameter) of the exact meta-gradients."""
    if isinstance(sweep.reference, str):
        n = learner.estimator.options.n
        return np.stack([_enumerated(learner, state, n) for state in states])
    exact = Learner(resolve({**_given(sweep, point), **sweep.reference}))
    program = jax.jit(lambda state, keys: _estimates(exact, state, keys))
    rows = []
    for state in states:
        first, second = program(state, jax.random.split(jax.random.key(0)))
        require_exact(np.asarray(first), np.asarray(second))
        rows.append(np.asarray(first))
    return np.stack(rows)


def _given(sweep: Sweep, point: Point) -> Mapping[str, Any]:
    """What is said of a point's settings, by dotted key."""
    return {**sweep.grid.common, **point.cells[0].varied}


def _enumerated(learner: Learner, state: TrainState, n: int) -> np.ndarray:
    key = jax.random.key(0)

    def start(eta):
        return again(learner.system, eta, key)._replace(env_state=state.env_state)

    return np.asarray(enumerated(learner.system, start, jnp.asarray(state.eta), n))
