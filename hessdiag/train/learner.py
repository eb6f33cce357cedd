"""One training iteration as a pure function, and the programs that a run compiles."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hessdiag import problems
from hessdiag.inner import (
    Cut,
    InnerState,
    annealing,
    clip_to_norm,
    cut_called,
    inner_optimiser,
    meta_optimiser,
)
from hessdiag.meta import ESTIMATORS, MetaStep, Options, Start, System, again, streams
from hessdiag.meta.system import named_entries
from hessdiag.train.env_state import firm, settled
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
    see `_advance`.
    """

    def __init__(self, settings: Settings):
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
        )
        self.estimator = ESTIMATORS[settings.estimator](options)
        self._starts_again = learning.keep == "0"
        self.carries = bool(getattr(self.problem, "carries", False))
        self._chunk = settings.probe.chunk
        self._meta_optimiser = meta_optimiser(
            learning.meta_learning_rate,
            clip_norm=learning.meta_clip_norm,
            eps_root=learning.meta_eps_root,
        )
        self.step = jax.jit(self._step)
        self.step_together = jax.jit(partial(_together, self._step, self._chunk))
        self.advance = jax.jit(self._advance)
        self.advance_together = jax.jit(self._advance_together)
        self.keys_at = jax.jit(streams.iteration)
        self.init = jax.jit(self._init)

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
        start = self.start(state, key)
        step = self.estimator(self.system, start, key, state.memory)
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
            metrics=dict(self.problem.metrics(start.inner.params, step.trajectories)),
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

    def _advance_together(
        self, states: TrainState, keys: PRNGKeyArray, first: Count, count: Count
    ) -> tuple[TrainState, Info]:
        """The same of several seeds."""
        advance = partial(self._advance, first=first, count=count)
        return _together(advance, self._chunk, states, keys)


def options_of(settings: Settings) -> Options:
    """What the estimator of a run is made of."""
    keep = settings.learning.keep
    return Options(
        n=settings.n,
        kappa=settings.kappa,
        trace_decay=settings.trace_decay,
        cut=cut_of(settings.paths, settings),
        samples=settings.monte_carlo,
        chunk=settings.probe.chunk,
        remat=settings.remat,
        keep=max(settings.n, 1) if keep == "n" else int(keep),
        target_updates=settings.target_updates,
        perturbation=settings.perturbation,
    )


def cut_of(name: str, settings: Settings) -> Cut:
    """The counterfactual of that name, as training and probes of a run have it."""
    return cut_called(
        name,
        trace_decay=settings.trace_decay,
        inside=settings.stable_interval,
        matvecs=settings.stable_matvecs,
    )


def _together(step, chunk: int, states: TrainState, keys: PRNGKeyArray) -> tuple[TrainState, Info]:
    """A step of every seed; large ones are faster in turn on CPU (`benchmarks.lock_step`)."""
    size = None if chunk == 1 else chunk
    return jax.lax.map(lambda operands: step(*operands), (states, keys), batch_size=size)


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
