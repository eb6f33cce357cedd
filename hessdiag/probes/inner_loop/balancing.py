"""Scales in which the operators along an inner loop are balanced."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hessdiag.inner.step import InnerStep
from hessdiag.spectra.balancing import balanced, balancing_scale

_SWEEPS = 4  # each costs a product and a transposed one


def balancing_scales(
    steps: InnerStep, key: Key[Array, ""], *, names: tuple[str, ...]
) -> dict[str, Float[Array, "n k"]]:
    """For each operator, a diagonal per inner step that makes it nearly balanced.

    The augmented operator is balanced by products, the others have the closed form.

    Args:
        steps: Linearised inner steps, stacked.
        key: Randomness of the products.
        names: Which operators.
    """
    responses = jax.lax.map(lambda step: step.response_scale, steps)
    scales = {name: responses for name in names if name != "augmented"}
    if "semi-gradient" in names:
        scales["semi-gradient"] = jnp.ones_like(responses)
    if "augmented" in names:
        keys = jax.random.split(key, len(steps.gradient))
        scales["augmented"] = jax.lax.map(_augmented_scale, (steps, keys))
    return scales


def _augmented_scale(step_and_key: tuple[InnerStep, Key[Array, ""]]) -> Float[Array, " k"]:
    step, key = step_and_key
    memory = jnp.ones(step.memory.size, step.memory.dtype)
    known = jnp.concatenate([step.response_scale, memory])
    return known * balancing_scale(balanced(step.augmented, known), key, sweeps=_SWEEPS)
