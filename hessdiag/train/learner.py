"""One training iteration as a pure function, and the programs that a run compiles."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hessdiag import problems
from hessdiag.devices import ONE, Devices
from hessdiag.inner import (
    InnerState,
    annealing,
    clip_to_norm,
    inner_optimiser,
    meta_optimiser,
)
from hessdiag.meta import ESTIMATORS, MetaStep, Start, System, again, streams
from hessdiag.meta.system import named_entries
from hessdiag.train.env_state import firm, settled
from hessdiag.train.options import options_of
from hessdiag.train.settings import Settings, constants

Count = Int[Array, ""] | int


class TrainState(NamedTuple):
    """What the next iteration needs."""

    inner: InnerState
    eta: Float[Array, " m"]  # unconstrained, flat
    meta_opt_state: optax.OptState
    env_state: Any
    memory: Any = ()  # of the estimator's objective


class Info(NamedTuple):
    """What one iteration tells; nothing here is read by training."""

    learning_rate: Float[Array, ""]
    inner_loss: Float[Array, ""]  # L(θ_t, η_t, τ^(0))
    outer_loss: Float[Array, ""]  # NaN where the hyper-parameters are fixed
    metrics: dict[str, Float[Array, ""]]
    eta: Float[Array, " m"]
    hyper: dict[str, Float[Array, ""]]
    meta_gradient: Float[Array, " m"]  # before clipping
    finite: dict[str, Array]  # bool by name, in the order of computation


class Learner:
    """The functions of a configuration, made from the settings of any of its runs but for the seed.

    `init` gives the state before the first iteration, from a key. `step` is one iteration, from a
    state and a key; `step_together` the same for several seeds, one program, vmapped `probe.chunk`
    at once. `keys_at` gives the keys of an iteration, from one key or several and its number.
    `advance` and `advance_together` are several iterations as one program, from the keys of runs:
    see `_advance`. Of several devices each plays some of the environments, or trains some of the
    seeds; `placed` and `placed_together` put states where these programs want them.
    """

    def __init__(self, settings: Settings, devices: Devices = ONE):
        learning, self._name = settings.learning, settings.env
        problem = problems.make(settings.env, settings.problem)
        self.problem = problems.with_transform(problem, learning.transform)
        options = options_of(settings)
        updates = settings.train.iterations * max(options.keep, 1)
        rate = annealing(learning.schedule, learning.learning_rate, updates)
        self.system = System.of(
            self.problem,
            inner_optimiser(learning.optimiser, rate, **constants(learning)),
            rate,
            clip=clip_to_norm(learning.clip_norm) if learning.clip_norm > 0 else None,
            precision=settings.precision,
        )
        self.devices = devices
        self.estimator = ESTIMATORS[settings.estimator](options)
        self._starts_again = learning.keep == "0"
        self.carries = bool(getattr(self.problem, "carries", False))
        self._chunk = settings.probe.chunk
        self._meta_optimiser = meta_optimiser(
            learning.meta_learning_rate,
            clip_norm=learning.meta_clip_norm,
            eps_root=learning.meta_eps_root,
        )
        self.keys_at = jax.jit(streams.iteration)
        self.init = jax.jit(self._init)
        self._places = self._places_of_environments(getattr(problem, "batch_size", None))
        ends: dict[str, Any] = {}
        if self._places is not None:
            ends["out_shardings"] = (self._places, None)
        self.step = jax.jit(self._step, **ends)
        self.step_together = jax.jit(partial(self._together, self._step))
        self.advance = jax.jit(self._advance, **ends)
        self.advance_together = jax.jit(partial(self._together, self._advance))

    def placed(self, state: TrainState) -> TrainState:
        """One run's state with its environments spread over devices, where they can be."""
        return state if self._places is None else jax.device_put(state, self._places)

    def placed_together(self, states: Sequence[TrainState]) -> TrainState:
        """The states of several seeds, stacked, and spread over devices."""
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        return self.devices.dividing(len(states)).split(stacked)

    def _places_of_environments(self, batch: Any) -> TrainState | None:
        """Where each array of a state lies; None where there is no batch to share out.

        The arrays of environments are those whose leading axis is the batch. How a program is
        split, the compiler finds out from where these are.
        """
        devices = self.devices.dividing(batch if isinstance(batch, int) and batch > 0 else 1)
        if devices.number == 1:
            return None
        form = jax.eval_shape(self._init, jax.random.key(0))

        def is_played(leaf) -> bool:
            return leaf.ndim > 0 and leaf.shape[0] == batch

        if not any(map(is_played, jax.tree.leaves(form.env_state))):
            return None
        places = devices.places(form, lambda _: False)
        return places._replace(env_state=devices.places(form.env_state, is_played))

    def start(self, state: TrainState, key: PRNGKeyArray) -> Start:
        """Where the unroll of a sample starts: where training is, or again."""
        if self._starts_again:
            start = again(self.system, state.eta, streams.start(key))
            return start._replace(env_state=state.env_state) if self.carries else start
        return Start(state.inner, state.eta, state.env_state)

    def _init(self, key: PRNGKeyArray) -> TrainState:
        eta = self.system.init_eta(streams.initial_eta(key))
        params, env_state = self.problem.start(self.system.eta_space.unravel(eta), key)
        if any(getattr(leaf, "weak_type", True) for leaf in jax.tree.leaves(env_state)):
            env_state = settled(
                lambda at: self.system.rollout(params, eta, at, key)[0], env_state, self._name
            )
        inner = self.system.update.init(params)
        memory = self.estimator.init(self.system, params)
        return firm(TrainState(inner, eta, self._meta_optimiser.init(eta), env_state, memory))

    def _step(self, state: TrainState, key: PRNGKeyArray) -> tuple[TrainState, Info]:
        """Keep what is kept of the unroll; move η along the meta-gradient (eq. 5, 8, 9)."""
        with self.system.update.precisely:
            start = self.start(state, key)
            step = self.estimator(self.system, start, key, state.memory)
            metrics = dict(self.problem.metrics(start.inner.params, step.trajectories))
        eta, meta_opt_state = state.eta, state.meta_opt_state
        if self.estimator.options.n > 0:
            change, meta_opt_state = self._meta_optimiser.update(step.meta_gradient, meta_opt_state)
            eta = eta + jnp.asarray(change)
        inner, env_state = step.state, step.env_state
        if self._starts_again:
            inner = state.inner
            env_state = step.env_state if self.carries else state.env_state
        after = firm(TrainState(inner, eta, meta_opt_state, env_state, step.memory))
        info = Info(
            learning_rate=jnp.asarray(self.system.update.rate(start.inner.step)),
            inner_loss=step.inner_loss,
            outer_loss=step.outer_loss,
            metrics=metrics,
            eta=state.eta,
            hyper=named_entries(self.system.hyper(state.eta)),
            meta_gradient=step.meta_gradient,
            finite=_finite(step, eta, self.estimator.options.n),
        )
        return after, info

    def _advance(
        self, state: TrainState, key: PRNGKeyArray, first: Count, count: Count
    ) -> tuple[TrainState, Info]:
        """`count` iterations from number `first`, with the key of a run.

        What is told is of the last one; of the first one that is not finite, what is finite.
        """

        def once(number, carry):
            state, told = carry
            after, info = self._step(state, streams.iteration(key, number))
            was_finite = jnp.all(jnp.stack([*told.finite.values()]))
            finite = {
                stage: jnp.where(was_finite, now, told.finite[stage])
                for stage, now in info.finite.items()
            }
            return after, info._replace(finite=finite)

        form = jax.eval_shape(self._step, state, key)[1]
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), form)
        so_far = jax.tree.map(jnp.ones_like, nothing.finite)
        return jax.lax.fori_loop(
            first, first + count, once, (state, nothing._replace(finite=so_far))
        )

    def _together(
        self, step: Callable[..., Any], states: TrainState, keys: PRNGKeyArray, *numbers: Count
    ) -> tuple[TrainState, Info]:
        """A step of every seed; large ones are faster in turn on CPU (`benchmarks.lock_step`)."""
        size = None if self._chunk == 1 else self._chunk

        def share(of_seeds, *numbers):
            return jax.lax.map(lambda seed: step(*seed, *numbers), of_seeds, batch_size=size)

        return self.devices.dividing(len(keys)).spread(share, (states, keys), *numbers)


def _finite(step: MetaStep, eta, n: int) -> dict[str, Array]:
    """Whether each stage of an iteration is free of NaN and infinity, in the order of computing."""
    tensors, _ = jax.tree_util.tree_flatten_with_path(step.state.params)
    stages = {"the inner loss": step.inner_loss}
    for path, leaf in tensors:
        stages[f"the parameters {jax.tree_util.keystr(path)} after the inner update"] = leaf
    if n > 0:
        stages["the outer loss after the last inner update"] = step.outer_loss
    stages["the meta-gradient"] = step.meta_gradient
    stages["the meta-parameters after their update"] = eta
    return {name: jnp.all(jnp.isfinite(value)) for name, value in stages.items()}
