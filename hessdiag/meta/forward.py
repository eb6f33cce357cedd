"""Forward sensitivities: dx/dη carried along an unroll, one tangent per entry of η.

At every point i the objective is differentiated along it: with few meta-parameters this gives the
i-step meta-gradients of all i at less than as many reverse sweeps cost.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.inner import Cotangent, InnerState, InnerUpdate, linearised_step
from hessdiag.meta.objectives import Objective, Outer
from hessdiag.meta.start import Start, flat_zero
from hessdiag.meta.streams import Sources
from hessdiag.meta.system import System
from hessdiag.spectra import Space, linearise


def forward_meta_gradients(
    system: System, start: Start, drawn: Sources, objective: Objective, memory: Any
) -> Float[Array, "n R m"]:
    """The i-step meta-gradients, i = 1 … n, each validated on R draws of its own (eq. 5)."""

    def observe(state: InnerState, tangents: Cotangent, env_state: Any, keys: Sources):
        def contracted(key):
            outer: Outer = objective(system, state, start.eta, env_state, key, memory)
            return tangents.params @ outer.to_params + outer.to_eta

        return jax.lax.map(contracted, keys.validation)

    return _sweep(system, start, drawn, observe)


def sensitivity_norms(system: System, start: Start, drawn: Sources) -> Float[Array, "n m"]:
    """|∂θ^(i)/∂η_k| for i = 1 … n.

    Validation noise reaches the i-step meta-gradient through this sensitivity alone: where the
    noise of T does not change with i, the standard deviation grows as it does.
    """
    return _sweep(
        system, start, drawn, lambda _, tangents, *__: jnp.linalg.norm(tangents.params, axis=1)
    )


def gradient_tangents(
    update: InnerUpdate, state: InnerState, eta: Float[Array, " m"], trajectories: Any
) -> Float[Array, "m d"]:
    """∂g/∂η, a row per entry of η."""
    space = Space.like(state.params)
    _, along = linearise(
        lambda eta: space.ravel(update.gradient(state.params, eta, trajectories)), eta
    )
    return jax.lax.map(along, jnp.eye(eta.size, dtype=eta.dtype))


def _sweep(
    system: System,
    start: Start,
    drawn: Sources,
    observe: Callable[[InnerState, Cotangent, Any, Sources], Any],
) -> Any:
    """Carry the state and its tangents along the unroll; what is observed after each update."""

    def step(carry, keys):
        state, tangents, env_state = carry
        env_state, trajectories = system.rollout(state.params, start.eta, env_state, keys.inner)
        state, tangents = _advance(system.update, state, tangents, start.eta, trajectories)
        return (state, tangents, env_state), observe(state, tangents, env_state, keys)

    _, observed = jax.lax.scan(step, (start.inner, _tangents(start), start.env_state), drawn)
    return observed


def _tangents(start: Start) -> Cotangent:
    """dx^(0)/dη, a row per entry of η."""
    basis = jnp.eye(start.eta.size, dtype=start.eta.dtype)
    if start.from_eta is not None:
        return jax.lax.map(start.from_eta, basis)
    return jax.tree.map(
        lambda leaf: jnp.zeros((start.eta.size, leaf.size), leaf.dtype), flat_zero(start)
    )


def _advance(
    update: InnerUpdate, state: InnerState, tangents: Cotangent, eta, trajectories
) -> tuple[InnerState, Cotangent]:
    """One inner update of the state and of its m tangents."""
    step = linearised_step(update, state, trajectories, eta)
    space = step.params

    def gradient(theta, eta):
        return space.ravel(update.gradient(space.unravel(theta), eta, trajectories))

    _, along = linearise(gradient, space.ravel(state.params), eta)
    basis = jnp.eye(eta.size, dtype=eta.dtype)
    # one tangent at a time: several at once leave the CPU's caches, and are slower there
    of_gradient = jax.lax.map(lambda at: along(*at), (tangents.params, basis))
    after = jax.vmap(step.respond)(*tangents, of_gradient)
    return update.apply(state, space.unravel(step.gradient)), Cotangent(*after)
