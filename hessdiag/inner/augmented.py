"""The augmented state x = (θ, s) as derivatives see it: floating-point leaves only.

Counters in an optimiser's state steer bias corrections and schedules but carry no derivative.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hessdiag.inner.update import InnerState, InnerUpdate


class Augmented(NamedTuple):
    """The part of an inner state that derivatives flow through."""

    params: Any  # θ
    memory: list[Array]  # floating-point leaves of s: m and v under Adam


def augmented(state: InnerState) -> Augmented:
    """The differentiable part of a state."""
    leaves = jax.tree.leaves(state.opt_state)
    return Augmented(state.params, [leaf for leaf in leaves if _is_floating(leaf)])


def response(update: InnerUpdate, state: InnerState) -> Callable[[Augmented, Any], Augmented]:
    """The optimiser's map (x, gradient) → x' around `state`, counters held at their values."""
    leaves, structure = jax.tree.flatten(state.opt_state)

    def apply(x: Augmented, gradient) -> Augmented:
        memory = iter(x.memory)
        merged = [next(memory) if _is_floating(leaf) else leaf for leaf in leaves]
        opt_state = jax.tree.unflatten(structure, merged)
        return augmented(update.apply(InnerState(x.params, opt_state, state.step), gradient))

    return apply


def _is_floating(leaf) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
