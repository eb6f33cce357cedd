"""One training iteration as a pure function, and the programs that a run compiles."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag import problems
from hessdiag.inner import (
    InnerState,
    InnerUpdate,
    Paths,
    annealing,
    inner_optimiser,
    meta_optimiser,
    paths_called,
)
from hessdiag.meta import Estimator, Start, meta_step
from hessdiag.problems import hyper_parameters, initial_eta
from hessdiag.train.settings import Settings, constants


class TrainState(NamedTuple):
    """What the next iteration needs."""

    inner: InnerState
    eta: Float[Array, " m"]
    meta_opt_state: optax.OptState
    env_state: Any

    @property
    def start(self) -> Start:
        """Where the unrolls of this iteration start."""
        return Start(self.inner, self.eta, self.env_state)


class Info(NamedTuple):
    """What one iteration tells; nothing here is read by training."""

    learning_rate: Float[Array, ""]
    inner_loss: Float[Array, ""]  # L(θ_t, η_t, τ^(0))
    outer_loss: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]
    eta: Float[Array, " m"]
    hyper: dict[str, Float[Array, ""]]
    meta_gradient: Float[Array, " m"]  # before clipping
    finite: dict[str, Array]  # bool by name, in the order of computation


class RunKeys(NamedTuple):
    """The randomness of one run, a key per purpose."""

    seed: int
    init: PRNGKeyArray
    train: PRNGKeyArray
    probe: PRNGKeyArray
    lanczos: PRNGKeyArray


def run_keys(seed: int) -> RunKeys:
    """The keys of a seed."""
    return RunKeys(seed, *jax.random.split(jax.random.key(seed), 4))


class Learner:
    """The functions of a configuration, made from the settings of any of its runs.

    The seed is no part of it.

    Attributes:
        problem: the learning problem.
        update: the inner update.
        estimator: the meta-gradient estimator.
        step: one training iteration, from a state and a key.
        step_together: the same for several seeds, one program; vmapped, `probe.chunk` at once.
        keys_at: the keys of an iteration, from one key or several and the iteration's number.
    """

    def __init__(self, settings: Settings):
        learning = settings.learning
        self.problem = problems.make(settings.env, settings.problem)
        self.update = InnerUpdate(
            self.problem,
            inner_optimiser(learning.optimiser, **constants(learning)),
            annealing(learning.schedule, learning.learning_rate, settings.train.iterations),
            clip_norm=learning.clip_norm,
            transform=learning.transform,
        )
        trace = settings.estimator == "trace"
        self.estimator = Estimator(
            kind="n-step" if trace else settings.estimator,
            n=settings.n,
            kappa=settings.kappa,
            monte_carlo=settings.monte_carlo,
            chunk=settings.probe.chunk,
            paths=paths_of("trace" if trace else settings.paths, settings),
            remat=settings.remat,
        )
        self._meta_optimiser = meta_optimiser(
            learning.meta_learning_rate, clip_norm=learning.meta_clip_norm
        )
        self.step = jax.jit(self._step)
        self.step_together = jax.jit(partial(_together, self._step, settings.probe.chunk))
        self.keys_at = jax.jit(_keys_at)
        self._first = jax.jit(self._init)

    def init(self, key: PRNGKeyArray) -> TrainState:
        """The state before the first iteration."""
        return self._first(key)

    def _init(self, key: PRNGKeyArray) -> TrainState:
        params, env_state = self.problem.init(key)
        eta = initial_eta(self.update.meta_parameters)
        return TrainState(self.update.init(params), eta, self._meta_optimiser.init(eta), env_state)

    def _step(self, state: TrainState, key: PRNGKeyArray) -> tuple[TrainState, Info]:
        """Keep the first inner update; move η along the meta-gradient (eq. 5, 8, 9)."""
        made = meta_step(self.estimator, self.update, state.start, key)
        eta, meta_opt_state = state.eta, state.meta_opt_state
        if self.estimator.n > 0:
            change, meta_opt_state = self._meta_optimiser.update(made.meta_gradient, meta_opt_state)
            eta = eta + jnp.asarray(change)
        after = TrainState(made.state, eta, meta_opt_state, made.env_state)
        params = state.inner.params
        loss = self.update.loss(params, state.eta, made.trajectories)
        info = Info(
            learning_rate=self.update.learning_rate(state.inner.step),
            inner_loss=loss,
            outer_loss=made.outer_loss,
            metrics=dict(self.problem.metrics(params, made.trajectories)),
            eta=state.eta,
            hyper=hyper_parameters(self.update.meta_parameters, state.eta),
            meta_gradient=made.meta_gradient,
            finite=_finite(loss, made, eta),
        )
        return after, info


def paths_of(name: str, settings: Settings) -> Paths:
    """The counterfactual of that name, as training and probes of a run have it."""
    return paths_called(
        name,
        trace_decay=settings.trace_decay,
        inside=settings.stable_interval,
        matvecs=settings.stable_matvecs,
    )


def _together(step, chunk: int, states: TrainState, keys: PRNGKeyArray) -> tuple[TrainState, Info]:
    """A step of every seed; large ones are faster in turn on CPU (`benchmarks.lock_step`)."""
    size = None if chunk == 1 else chunk
    return jax.lax.map(lambda one: step(*one), (states, keys), batch_size=size)


def _keys_at(keys: PRNGKeyArray, iteration) -> PRNGKeyArray:
    if not keys.shape:
        return jax.random.fold_in(keys, iteration)
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, iteration)


def _finite(loss, made, eta) -> dict[str, Array]:
    """Whether each stage of an iteration is free of NaN and infinity, in the order of computing."""
    tensors, _ = jax.tree_util.tree_flatten_with_path(made.state.params)
    stages = {"the inner loss": loss}
    for path, leaf in tensors:
        stages[f"the parameters {jax.tree_util.keystr(path)} after the inner update"] = leaf
    stages["the outer loss after the last inner update"] = made.outer_loss
    stages["the meta-gradient"] = made.meta_gradient
    stages["the meta-parameters after their update"] = eta
    return {name: jnp.all(jnp.isfinite(value)) for name, value in stages.items()}
