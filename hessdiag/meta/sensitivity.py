"""Forward sensitivities: the i-step meta-gradients of all i ≤ n from one sweep forward.

dx/dη is carried along the unroll, one tangent per meta-parameter, and at every point i the outer
loss is differentiated along it. With few meta-parameters this gives what n reverse sweeps would,
on common random numbers.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag import spectra
from hessdiag.inner.augmented import Augmented, augmented, response
from hessdiag.inner.pullback import contract
from hessdiag.inner.update import Eta, InnerState, InnerUpdate
from hessdiag.meta.sources import Sources, sources
from hessdiag.meta.start import Start
from hessdiag.meta.unroll import inner_sample, validation_sample


def all_horizons(
    update: InnerUpdate,
    start: Start,
    key: PRNGKeyArray,
    *,
    n: int,
) -> Float[Array, "n m"]:
    """The i-step meta-gradients, i = 1 … n, each validated on its own τ̃^(i) (eq. 5).

    The trajectories are those of `hessdiag.meta.unroll.unroll` with the same key.

    Args:
        update: the inner update.
        start: x_t, η_t and the environments' state.
        key: randomness of all rollouts.
        n: the longest horizon, n ≥ 1.

    Returns:
        Row i−1 is the i-step meta-gradient with respect to the unconstrained η.
    """
    return all_horizons_from(update, start, sources(key, n))[:, 0]


def all_horizons_from(update: InnerUpdate, start: Start, drawn: Sources) -> Float[Array, "n R m"]:
    """As `all_horizons`, from given sources: R meta-gradients that share their inner steps."""
    problem = update.problem

    def meta_gradients(after: InnerState, tangents: Augmented, env_state: Any, keys: Sources):
        def validated(key):
            validation = validation_sample(problem, after.params, env_state, key)
            outer_gradient = jax.grad(problem.outer_loss)(after.params, validation)
            return contract(outer_gradient, tangents.params)

        return jax.lax.map(validated, keys.validation)

    return _sweep(update, start, drawn, meta_gradients)


def sensitivity_norms(
    update: InnerUpdate,
    start: Start,
    key: PRNGKeyArray,
    *,
    n: int,
) -> Float[Array, "n m"]:
    """|∂θ^(i)/∂η_k| for i = 1 … n, on the trajectories of `all_horizons` with the same key.

    Validation noise reaches the i-step meta-gradient through this sensitivity alone: where the
    noise of T does not change with i, the standard deviation grows as it does.
    """

    def norms(_after: InnerState, tangents: Augmented, _env_state: Any, _keys: Sources):
        squares = [
            jnp.sum(leaf.reshape(start.eta.size, -1) ** 2, axis=1)
            for leaf in jax.tree.leaves(tangents.params)
        ]
        return jnp.sqrt(sum(squares))

    return _sweep(update, start, sources(key, n), norms)


def _sweep(
    update: InnerUpdate,
    start: Start,
    drawn: Sources,
    observe: Callable[[InnerState, Augmented, Any, Sources], Any],
) -> Any:
    """Carry the state and its tangents along the unroll; what is observed after each update."""
    inner, eta, env_state = start

    def step(now, keys):
        state, tangents, env_state = now
        env_state, trajectories = inner_sample(update.problem, state.params, env_state, keys.inner)
        after, tangents = _advance(update, state, tangents, eta, trajectories)
        return (after, tangents, env_state), observe(after, tangents, env_state, keys)

    at_rest = jax.tree.map(lambda leaf: jnp.zeros((eta.size, *leaf.shape)), augmented(inner))
    _, observed = jax.lax.scan(step, (inner, at_rest, env_state), drawn)
    return observed


def _advance(
    update: InnerUpdate, state: InnerState, tangents: Augmented, eta: Eta, trajectories
) -> tuple[InnerState, Augmented]:
    """One inner update of the state and of its m tangents."""
    gradient, along = spectra.linearise(
        lambda params, eta: update.gradient(params, eta, trajectories), state.params, eta
    )
    basis = jnp.eye(eta.size)
    # one tangent at a time: several at once leave the CPU's caches, and are slower there
    gradient_tangents = jax.lax.map(lambda now: along(*now), (tangents.params, basis))
    _, along = spectra.linearise(response(update, state), augmented(state), gradient)
    return update.apply(state, gradient), jax.vmap(along)(tangents, gradient_tangents)
