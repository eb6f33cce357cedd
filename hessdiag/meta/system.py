"""What meta-gradients are taken of, a problem and the inner update that learns it; and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import Cotangent, Eta, InnerState, InnerUpdate, held_memory
from hessdiag.inner.extras import Optimiser
from hessdiag.inner.update import Schedule
from hessdiag.problems import LossTerms, Problem
from hessdiag.spectra import Space, linearise

MOST_SHOWN = 64
"""Entries of η that metrics tell one by one."""


@dataclass(frozen=True)
class System:
    """A problem with its inner update; η is a flat vector (m,) here, whatever it is there."""

    problem: Problem
    update: InnerUpdate
    eta_space: Space  # of the problem's η

    @classmethod
    def of(
        cls,
        problem: Problem,
        optimiser: Optimiser,
        learning_rate: Schedule,
        *,
        clip: Any = None,
        precision: str = InnerUpdate.precision,
    ) -> "System":
        """The system of a problem and an optimiser; arguments as in `InnerUpdate`."""
        space = Space.like(jax.eval_shape(problem.init_eta, jax.random.key(0)))
        with_targets: Any = getattr(problem, "inner_loss_with_targets", None)

        def loss(params, eta, trajectories):
            return problem.inner_loss(params, problem.hyper(space.unravel(eta)), trajectories)

        def semi_gradient(params, eta, trajectories):
            hyper = problem.hyper(space.unravel(eta))
            return jax.grad(with_targets)(params, params, hyper, trajectories)

        moving = None if with_targets is None else semi_gradient
        parts = (loss, optimiser, learning_rate, clip, moving)
        return cls(problem, InnerUpdate(*parts, precision=precision), space)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the entries of η: those of named scalars, else where they stand in the pytree."""
        parameters = getattr(self.problem, "meta_parameters", None)
        if parameters is not None:
            return tuple(parameter.name for parameter in parameters)
        return entry_names(jax.eval_shape(self.problem.init_eta, jax.random.key(0)))

    def init_eta(self, key: PRNGKeyArray) -> Eta:
        """η at the start of training."""
        return self.eta_space.ravel(self.problem.init_eta(key))

    def hyper(self, eta: Eta) -> Any:
        """What losses and rollouts see of η."""
        return self.problem.hyper(self.eta_space.unravel(eta))

    def rollout(self, params: Any, eta: Eta, env_state: Any, key: PRNGKeyArray) -> tuple[Any, Any]:
        """(environment state, trajectories), as constants."""
        sampled = self.problem.rollout(params, self.hyper(eta), env_state, key)
        return jax.lax.stop_gradient(sampled)

    def validation(self, params: Any, eta: Eta, env_state: Any, key: PRNGKeyArray) -> Any:
        """Trajectories for the outer loss, as constants: of a rollout, or of data of its own."""
        sample = getattr(self.problem, "validation_rollout", self.problem.rollout)
        return jax.lax.stop_gradient(sample(params, self.hyper(eta), env_state, key))[1]

    def inner_loss_terms(self, params: Any, eta: Eta, trajectories: Any) -> LossTerms:
        """The terms of L(θ, η, τ) by name, of problems that have them."""
        problem: Any = self.problem
        return problem.inner_loss_terms(params, self.hyper(eta), trajectories)

    def outer_loss(self, params: Any, eta: Eta, trajectories: Any) -> Float[Array, ""]:
        """L'(θ, η, τ̃)."""
        return self.problem.outer_loss(params, self.hyper(eta), trajectories)


class Start(NamedTuple):
    """What is known at iteration t, before anything is drawn."""

    inner: InnerState  # x^(0)
    eta: Eta  # η_t, frozen through an unroll
    env_state: Any  # the environments' state, which every rollout continues
    from_eta: Any = None  # tangents of η → tangents of x^(0) as one vector; None: no such path

    def to_eta(self, cotangent: Cotangent) -> Float[Array, " m"] | float:
        """What a cotangent of x^(0) is of η: zero where the start does not depend on it."""
        if self.from_eta is None:
            return 0.0
        return jax.linear_transpose(self.from_eta, self.eta)(cotangent)[0]

    def flat_zero(self) -> Cotangent:
        """The zero cotangent of x."""
        space = Space.like(self.inner.params)
        memory = held_memory(self.inner.opt_state, space.dtype)[0]
        return Cotangent(jnp.zeros(space.size, space.dtype), jnp.zeros_like(memory))


def again(system: System, eta: Eta, key: PRNGKeyArray) -> Start:
    """A start of its own, as in MAML: parameters and environments from a key, and from η_t.

    The parameters may depend on η; meta-gradients then have that path.
    """

    def begin(eta):
        params, env_state = system.problem.start(system.eta_space.unravel(eta), key)
        state = system.update.init(params)
        space = Space.like(params)
        flat = Cotangent(space.ravel(params), held_memory(state.opt_state, space.dtype)[0])
        return flat, (state, env_state)

    _, (state, env_state) = begin(eta)
    _, from_eta = linearise(lambda eta: begin(eta)[0], eta)
    return Start(state, eta, env_state, from_eta)


def named_entries(tree: Any) -> dict[str, Float[Array, ""]]:
    """The entries of a pytree by name; none where there are more than anybody reads."""
    leaves = jax.tree.leaves(tree)
    entries = jnp.concatenate([jnp.ravel(leaf) for leaf in leaves]) if leaves else jnp.zeros(0)
    return dict(zip(shown(entry_names(tree)), entries, strict=False))


def shown(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, if they are few enough to be shown one by one."""
    return names if len(names) <= MOST_SHOWN else ()


def entry_names(tree: Any) -> tuple[str, ...]:
    """A name for every entry of a pytree of arrays, such as "layer.kernel[0,2]"."""
    names: list[str] = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "eta"
        names += [f"{name}{suffix}" for suffix in _suffixes(jnp.shape(leaf))]
    return tuple(names)


def _suffixes(shape: Sequence[int]) -> list[str]:
    """Of every place of an array; none where there is but one."""
    return [f"[{','.join(map(str, place))}]" if place else "" for place in np.ndindex(*shape)]
