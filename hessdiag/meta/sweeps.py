"""Several weighted sums of meta-gradients from one pass back, with or without cuts.

A meta-gradient is linear in the outer gradients: weights over horizons give mixes (Bonnet et al.
2021, eq. 10), weights over draws of the validation trajectories give larger validation batches. One
pass back carries a cotangent for each sum, and tells what every inner update adds (eq. 11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hessdiag.inner import Cotangent, Cut, InnerStep, pull_back
from hessdiag.meta.adjoint import before_updates, step_of
from hessdiag.meta.system import Start, System
from hessdiag.meta.unroll import Unroll


class Swept(NamedTuple):
    """Sums of meta-gradients by their parts; `total` is the sum of these."""

    contributions: Float[Array, "r n m"]  # of update j
    direct: Float[Array, "r m"]  # of η in the objective itself
    initial: Float[Array, "r m"]  # of η in x^(0)

    @property
    def total(self) -> Float[Array, "r m"]:
        """The weighted sums."""
        return self.contributions.sum(axis=-2) + self.direct + self.initial


def weighted_sweeps(
    system: System,
    start: Start,
    points: Unroll,
    wanted: Sequence[tuple[Cut, Float[np.ndarray, "r n R"]]],
) -> list[Swept]:
    """Σ_i Σ_k w_ik dL'(θ^(i), η, draw k)/dη for rows of weights, each under a cut without bounds.

    Args:
        system: the problem and its inner update.
        start: of the unroll.
        points: the unroll, its objective evaluated everywhere, R draws of it.
        wanted: cuts, and of each the weights of its sums; a sum costs a product for every update
            before its last horizon.
    """
    assert points.outer is not None
    outer = points.outer
    sweep = _Pass(system, start, tuple(cut for cut, _ in wanted), [_ends(w) for _, w in wanted])
    weights = [jnp.asarray(w, start.eta.dtype) for _, w in wanted]
    stacks = [_zeros(start.flat_zero(), len(w)) for w in weights]
    entering = [jnp.moveaxis(w, 1, 0) for w in weights]
    ends, contributions = jax.lax.scan(
        sweep.back, stacks, (*before_updates(points), outer.to_params, entering), reverse=True
    )

    def initial(cotangent):
        return jnp.zeros_like(start.eta) + start.to_eta(cotangent)

    return [
        Swept(
            jnp.moveaxis(terms, 0, 1),
            jnp.einsum("rik,ikm->rm", w, outer.to_eta),
            jax.vmap(initial)(end),
        )
        for terms, w, end in zip(contributions, weights, ends, strict=True)
    ]


def _zeros(like: Cotangent, number: int) -> Cotangent:
    """So many of them, stacked."""
    return jax.tree.map(lambda leaf: jnp.zeros((number, *leaf.shape), leaf.dtype), like)


def _ends(weights: np.ndarray) -> np.ndarray:
    """(r,) the last horizon of every row that counts."""
    counts = np.any(weights != 0, axis=-1)
    return np.where(counts, np.arange(1, counts.shape[1] + 1), 0).max(axis=1)


@dataclass(frozen=True)
class _Pass:
    """One pass back; its carry is a stack of cotangents for each of the cuts."""

    system: System
    start: Start
    cuts: tuple[Cut, ...]
    ends: Sequence[np.ndarray]  # last horizons of the rows of each cut

    def back(self, stacks: list[Cotangent], of_step) -> tuple[list[Cotangent], list[Any]]:
        """Through inner update j, for all sums that reach beyond it."""
        j, state, trajectories, stored, outer, entering = of_step
        step = step_of(self.system, self.start, state, trajectories, stored)
        pulled = [
            self._each(j, step, cut, stack._replace(params=stack.params + weights @ outer), ends)
            for cut, stack, weights, ends in zip(
                self.cuts, stacks, entering, self.ends, strict=True
            )
        ]
        stacks, contributions = map(list, zip(*pulled, strict=True))
        return stacks, contributions

    def _each(self, j, step: InnerStep, cut: Cut, stack: Cotangent, ends: np.ndarray):
        """The sums one by one: those that end before j are passed over, not computed."""

        def through(cotangent: Cotangent):
            pulled = pull_back(step, cotangent, cut)
            return pulled.cotangent, pulled.to_eta

        def pull(stacked):
            cotangent, end = stacked
            nothing = (cotangent, jnp.zeros_like(self.start.eta))
            return jax.lax.cond(end > j, through, lambda _: nothing, cotangent)

        return jax.lax.map(pull, (stack, jnp.asarray(ends)))
