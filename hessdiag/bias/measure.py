"""One point of a sweep: K meta-gradients at the start of training, and the exact one."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from hessdiag.bias.plan import Point, Sweep
from hessdiag.bias.reference import enumerated, require_exact
from hessdiag.meta import Start, again, streams
from hessdiag.record.digests import digest_of
from hessdiag.statistics import errors
from hessdiag.study.grid import Cell
from hessdiag.train.learner import Learner, TrainState
from hessdiag.train.presets import resolve
from hessdiag.train.settings import Settings, flatten

Program = Callable[[TrainState, Any], Any]
"""State and keys (K,) → meta-gradients (K, m)."""


class Measurer:
    """Measures points one after the other; the programs of references are compiled once.

    What is enumerated is so once, for all estimators.
    """

    def __init__(self):
        self._references: dict[str, Program] = {}
        self._enumerated: dict[str, np.ndarray] = {}

    def __call__(self, point: Point, sweep: Sweep) -> xr.Dataset:
        """Meta-gradients (replicate, sample, meta_parameter), exact ones and errors, in float64.

        Raises:
            UsageError: the reference is not exact.
        """
        with jax.enable_x64(True):
            learner = Learner(point.cells[0].settings)
            states = _states(learner, point)
            program = program_of(learner)
            pairs = zip(point.cells, states, strict=True)
            estimates = np.stack([_drawn(program, cell, state) for cell, state in pairs])
            exact = self._exact(point, sweep, states)
        return labelled(estimates, exact).assign_attrs(sweep=point.sweep, at=point.at)

    def _exact(self, point: Point, sweep: Sweep, states: Sequence[TrainState]) -> np.ndarray:
        """(replicate, meta_parameter) of the exact meta-gradients."""
        given = [{**sweep.grid.common, **cell.varied, **sweep.reference} for cell in point.cells]
        if sweep.enumerated:
            pairs = zip(map(resolve, given), states, strict=True)
            return np.stack([self._expectation(settings, state) for settings, state in pairs])
        program = self._reference(resolve({**given[0], sweep.replicates: 0}))
        rows = []
        for state in states:
            first, second = program(state, jax.random.split(jax.random.key(0)))
            require_exact(np.asarray(first), np.asarray(second))
            rows.append(np.asarray(first))
        return np.stack(rows)

    def _expectation(self, settings: Settings, state: TrainState) -> np.ndarray:
        """The gradient of the expected outer loss; estimators have nothing to do with it."""
        code = digest_of(flatten(dataclasses.replace(settings, estimator=Settings.estimator)))
        if code not in self._enumerated:
            self._enumerated[code] = _enumerated(Learner(settings), state)
        return self._enumerated[code]

    def _reference(self, settings: Settings) -> Program:
        code = digest_of(flatten(settings))
        if code not in self._references:
            self._references[code] = program_of(Learner(settings))
        return self._references[code]


def labelled(estimates: np.ndarray, exact: np.ndarray) -> xr.Dataset:
    """Both with what is made of them once: errors, and the draws behind their intervals."""
    found = errors(estimates, exact)
    axes = ("replicate", "sample", "meta_parameter")
    return xr.Dataset(
        {
            "meta_gradient": (axes, estimates),
            "exact": (axes[::2], exact),
            "error": ("quantity", [estimate.value for estimate in found.values()]),
            "error_draws": (("quantity", "draw"), [e.draws for e in found.values()]),
        },
        coords={"quantity": list(found)},
    )


def _states(learner: Learner, point: Point) -> list[TrainState]:
    """Before the first iteration; cells that differ by the seed alone share a program."""
    first = point.cells[0].settings
    alike = [dataclasses.replace(c.settings, seed=first.seed) == first for c in point.cells]
    pairs = zip(point.cells, alike, strict=True)
    return [first_state(cell, learner if is_alike else None) for cell, is_alike in pairs]


def first_state(cell: Cell, learner: Learner | None = None) -> TrainState:
    """The state before the first iteration."""
    learner = learner or Learner(cell.settings)
    return learner.init(streams.run_keys(cell.settings.seed).init)


def program_of(learner: Learner) -> Program:
    """Draws meta-gradients; what the environments are is said by the state alone.

    Where something is carried, such as a replay buffer, every estimate draws one of its own.
    """

    def one(state: TrainState, key: Any) -> Any:
        start: Start = again(learner.system, state.eta, streams.start(key))
        if not learner.carries:
            start = learner.start(state, key)._replace(env_state=state.env_state)
        return learner.estimator(learner.system, start, key, state.memory).meta_gradient

    return jax.jit(jax.vmap(one, in_axes=(None, 0)))


def _drawn(program: Program, cell: Cell, state: TrainState) -> np.ndarray:
    """(K, m) estimates."""
    return np.concatenate([program(state, keys) for keys in chunks_of_keys(cell)])


def chunks_of_keys(cell: Cell) -> list[Any]:
    """The keys of all estimates, so many at once as the settings say."""
    probe = cell.settings.probe
    keys = streams.samples(streams.run_keys(cell.settings.seed).probe, 0, probe.samples)
    parts = np.array_split(np.arange(probe.samples), max(1, probe.samples // probe.chunk))
    return [keys[part] for part in parts]


def _enumerated(learner: Learner, state: TrainState) -> np.ndarray:
    key = jax.random.key(0)

    def start(eta):
        return again(learner.system, eta, key)._replace(env_state=state.env_state)

    eta, n = jnp.asarray(state.eta), learner.estimator.options.n
    return np.asarray(enumerated(learner.system, start, eta, n))
