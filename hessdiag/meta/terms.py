"""Eq. 11 term by term: what every inner update contributes, for many horizons and cuts at once.

On the augmented state x = (θ, s) the i-step meta-gradient is Σ_j T^(i) (Π_{j<k<i} A_k) B_j, with
A_k and B_j the derivatives of update k in x and of update j in η (Bonnet et al. 2021, eq. 11).
One pass back carries the cotangents of all horizons and cuts, which share all else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import (
    Cotangent,
    Cut,
    InnerState,
    InnerStep,
    InnerUpdate,
    Outliers,
    pull_back,
)
from hessdiag.meta.adjoint import before_updates, left_out, step_of
from hessdiag.meta.system import Start, System
from hessdiag.meta.unroll import Unroll
from hessdiag.spectra import Space, linearise

FEW = 32
"""Entries of η up to which ∂g/∂η is worth a product for each."""


class Terms(NamedTuple):
    """The parts of the meta-gradients of one unroll; `meta_gradients` is their sum."""

    contributions: Float[Array, "cuts horizons n m"]  # of update j; zero from the horizon on
    direct: Float[Array, "horizons m"]  # of η in the objective itself
    initial: Float[Array, "cuts horizons m"]  # of η in x^(0)
    reach: Float[Array, "cuts horizons n"]  # |cotangent of g^(j)|: what T reads of it
    outer: Float[Array, " horizons"]  # |T|, T = ∂L'/∂θ^(i)
    mixed: Float[Array, "n m"]  # |∂g^(j)/∂η_k|; NaN where it was not measured
    left_out: Float[Array, " n"]  # eigenpairs of the Hessian that bounded cuts leave out; NaN:
    # not looked for, at the first step, where nothing goes on through the Hessian

    @property
    def meta_gradients(self) -> Float[Array, "cuts horizons m"]:
        """The meta-gradients; leading axes of samples are kept."""
        of_updates = self.contributions.sum(axis=-2)
        return of_updates + self.direct[..., None, :, :] + self.initial


def terms(
    system: System,
    start: Start,
    points: Unroll,
    *,
    horizons: Sequence[int],
    cuts: Sequence[Cut],
    key: PRNGKeyArray | None = None,
    validation: int = 0,
    with_mixed: bool = True,
) -> Terms:
    """Decompose the meta-gradients of one unroll.

    Args:
        system: the problem and its inner update.
        start: of the unroll.
        points: the unroll, its objective evaluated everywhere.
        horizons: the i of the meta-gradients wanted, none above the length of the unroll.
        cuts: the counterfactuals wanted; at most one of them may have bounds.
        key: randomness of the Lanczos start vectors behind bounds.
        validation: which of the objective's draws.
        with_mixed: measure |∂g/∂η|, too, a product for every entry of η and update.
    """
    assert points.outer is not None
    has_mixed = with_mixed and start.eta.size <= FEW
    sweep = _Sweep(system, start, np.asarray(horizons), tuple(cuts), key, has_mixed)
    outer = jax.tree.map(lambda leaf: leaf[:, validation], points.outer)
    stack = jax.tree.map(
        lambda leaf: jnp.zeros((len(horizons), *leaf.shape), leaf.dtype), start.flat_zero()
    )
    ends, (contributions, reach, mixed, number) = jax.lax.scan(
        sweep.back,
        [stack] * len(sweep.cuts),
        (*before_updates(points), outer.to_params),
        reverse=True,
    )
    chosen = sweep.horizons - 1

    def initial(cotangent):
        return jnp.zeros_like(start.eta) + start.to_eta(cotangent)

    return Terms(
        contributions=jnp.moveaxis(contributions, 0, 2),
        direct=outer.to_eta[chosen],
        initial=jnp.stack([jax.vmap(initial)(end) for end in ends]),
        reach=jnp.moveaxis(reach, 0, 2),
        outer=jnp.linalg.norm(outer.to_params[chosen], axis=1),
        mixed=mixed,
        left_out=number,
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


@dataclass(frozen=True)
class _Sweep:
    """One pass back; its carry is a stack of cotangents, one per horizon, for each of the cuts."""

    system: System
    start: Start
    horizons: np.ndarray
    cuts: tuple[Cut, ...]
    key: PRNGKeyArray | None
    has_mixed: bool

    def back(self, cotangents: list[Cotangent], of_step):
        """Through inner update j, for every cut and every horizon beyond j."""
        j, state, trajectories, stored, outer = of_step
        eta = self.start.eta
        step = step_of(self.system, self.start, state, trajectories, stored)
        mixed, lengths = None, jnp.full(eta.size, jnp.nan, eta.dtype)
        if self.has_mixed:
            mixed = gradient_tangents(self.system.update, state, eta, trajectories)
            lengths = jnp.linalg.norm(mixed, axis=1)
        pairs = self._left_out(step, j)

        def through(cut: Cut, cotangent: Cotangent, *, ends: bool):
            pairs_of = pairs if cut.inside is not None else None
            pulled = pull_back(step, cotangent, cut, outliers=pairs_of, mixed=mixed, ends=ends)
            return pulled.cotangent, pulled.to_eta, jnp.linalg.norm(pulled.to_gradient)

        pulled = [
            self._each(j, cut, _enter(stack, outer, self.horizons == j + 1), through)
            for cut, stack in zip(self.cuts, cotangents, strict=True)
        ]
        cotangents, contributions, reach = map(list, zip(*pulled, strict=True))
        number = jnp.asarray(0 if pairs is None else pairs.number, eta.dtype)
        if pairs is not None and self._stops:
            number = jnp.where(j > 0, number, jnp.nan)  # none were looked for
        return cotangents, (jnp.stack(contributions), jnp.stack(reach), lengths, number)

    @property
    def _stops(self) -> bool:
        """Whether nobody reads the cotangent of x^(0), and no product is needed to get there."""
        return self.has_mixed and self.start.from_eta is None

    def _left_out(self, step: InnerStep, j) -> Outliers | None:
        """The eigenpairs that the cut with bounds leaves out, if there is one."""
        bounded = next((cut for cut in self.cuts if cut.inside is not None), None)
        if bounded is None:
            return None

        def find():
            return left_out(step, bounded, self.key, j)

        if not self._stops:
            return find()
        none = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(find))
        return jax.lax.cond(j > 0, find, lambda: none)

    def _each(self, j, cut: Cut, stack: Cotangent, through):
        """The horizons one by one: those that end before j are passed over, not computed."""
        eta = self.start.eta

        def back(cotangent):
            if not self._stops:
                return through(cut, cotangent, ends=False)
            ways = (partial(through, cut, ends=ends) for ends in (False, True))
            return jax.lax.cond(j > 0, *ways, cotangent)

        def pull(stacked):
            cotangent, horizon = stacked
            nothing = (cotangent, jnp.zeros_like(eta), jnp.zeros((), cotangent.params.dtype))
            return jax.lax.cond(horizon > j, back, lambda _: nothing, cotangent)

        return jax.lax.map(pull, (stack, jnp.asarray(self.horizons)))


def _enter(stack: Cotangent, outer: Float[Array, " d"], enters) -> Cotangent:
    """Add T to the cotangents of the horizons that end here."""
    added = jnp.outer(jnp.asarray(enters, outer.dtype), outer)
    return stack._replace(params=stack.params + added)
