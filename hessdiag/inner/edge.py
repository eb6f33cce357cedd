"""How much curvature an optimiser stands: its edge of stability, at one inner step.

On a quadratic loss of curvature h along one parameter, an optimiser with first moment m and its
preconditioner P held still iterates m' = β m + c h θ, θ' = θ − α P⁻¹ m'. That shrinks θ as long as
α P⁻¹ h < 2 (1 + β) / c: 2 for gradient descent and RMSProp, 2 (1 + β) for heavy-ball momentum,
2 (1 + β) / (1 − β) for Adam, 38 at β₁ = 0.9 (Cohen et al. 2022, arXiv 2207.14484).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hessdiag.inner.step import InnerStep

_ALIKE = 1e-3  # relative difference up to which two responses are one


class Edge(NamedTuple):
    """What the highest eigenvalue of √R ∇²L √R is to be held against."""

    response: Float[Array, " d"]  # R: α P⁻¹ of every parameter, what clipping leaves of it
    limit: Float[Array, ""]  # 2 (1 + β) / c; NaN where the update is of another form


def edge(step: InnerStep) -> Edge:
    """The edge of an update, read off its own response, whatever the optimiser is called.

    It is known for updates without weight decay that act entry by entry, with at most one first
    and one second moment, and in which the gradient counts through the first moment alone; Nesterov
    momentum is another form.
    """
    size, zero = step.params.size, jnp.zeros_like(step.gradient)
    ones, still = zero + 1, jnp.zeros(step.memory.size, step.memory.dtype)
    own = {which: _entries(step, which) for which in ("first", "second")}
    whole = all(len(entries) in (0, size) for entries in own.values())
    if not whole or sum(map(len, own.values())) != step.memory.size:
        return Edge(zero, jnp.asarray(jnp.nan, zero.dtype))
    change, moved = step.respond_to_clipped(zero, still, ones)
    first, second = own["first"], own["second"]
    if len(second):
        by_second, kept = step.respond_to_clipped(zero, still.at[second].set(1), zero)
        change = change - by_second / kept[second] * moved[second]
    decay, gain, follows = zero, ones, jnp.asarray(True)
    if len(first):
        by_first, kept = step.respond_to_clipped(zero, still.at[first].set(1), zero)
        decay, gain = kept[first], moved[first]
        follows = _are_alike(by_first * gain, change * decay)
    limit = 2 * (1 + jnp.mean(decay)) / jnp.mean(gain)
    response = -change / gain
    is_known = follows & _acts_by_entry(step) & jnp.all(response >= 0)
    return Edge(step.clip_ratio * jnp.maximum(response, 0), jnp.where(is_known, limit, jnp.nan))


def _entries(step: InnerStep, which: str) -> Float[Array, " entries"]:
    """Where a moment is in the memory."""
    ranges = [jnp.arange(*at) for moment, at in step.moments if moment == which]
    return jnp.concatenate([jnp.arange(0), *ranges])


def _acts_by_entry(step: InnerStep) -> Bool[Array, ""]:
    """Whether the response to a gradient is one number per entry, and θ itself counts for none."""
    zero = jnp.zeros_like(step.gradient)
    still = jnp.zeros(step.memory.size, step.memory.dtype)
    random = jax.random.normal(jax.random.key(0), zero.shape, zero.dtype)
    per_entry = step.respond_to_clipped(zero, still, zero + 1)[0]
    mixed = step.respond_to_clipped(zero, still, random)[0]
    by_params = step.respond_to_clipped(random, still, zero)[0]
    return _are_alike(mixed, per_entry * random) & jnp.all(by_params == 0)


def _are_alike(left: Float[Array, " d"], right: Float[Array, " d"]) -> Bool[Array, ""]:
    return jnp.linalg.norm(left - right) <= _ALIKE * jnp.linalg.norm(right)
