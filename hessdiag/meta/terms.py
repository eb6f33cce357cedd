"""Eq. 11 term by term: what every inner update contributes, for many horizons and paths at once.

On the augmented state x = (θ, s) the i-step meta-gradient is Σ_j T^(i) (Π_{j<k<i} A_k) B_j, with
A_k and B_j the derivatives of inner update k in x and of update j in η (Bonnet et al. 2021, eq. 11,
with the optimiser's state). One pass back through an unroll carries the cotangents of all horizons
and of all counterfactuals, and shares its rollouts, linearisations and ∂g/∂η among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag import spectra
from hessdiag.inner.augmented import Augmented, augmented
from hessdiag.inner.cuts import Paths
from hessdiag.inner.outliers import Outliers, outliers
from hessdiag.inner.pullback import pull_back
from hessdiag.inner.update import Eta, InnerState, InnerUpdate
from hessdiag.meta.unroll import Unroll, point


class Terms(NamedTuple):
    """The parts of the meta-gradients of one unroll.

    `contributions` summed over inner steps are the meta-gradients.
    """

    contributions: Float[Array, "paths horizons n m"]  # of update j; zero from the horizon on
    reach: Float[Array, "paths horizons n"]  # |cotangent of g^(j)|: what T reads of it
    outer: Float[Array, " horizons"]  # |T|, T = ∂L'/∂θ^(i)
    mixed: Float[Array, "n m"]  # |∂g^(j)/∂η_k|
    left_out: Float[Array, " n"]  # eigenpairs of the Hessian that bounded paths leave out


def terms(
    update: InnerUpdate,
    eta: Eta,
    points: Unroll,
    *,
    horizons: Sequence[int],
    paths: Sequence[Paths],
    key: PRNGKeyArray,
) -> Terms:
    """Decompose the meta-gradients of one unroll.

    Args:
        update: the inner update.
        eta: the η of the unroll.
        points: the unroll, validated everywhere.
        horizons: the i of the meta-gradients wanted, none above the length of the unroll.
        paths: the counterfactuals wanted; at most one of them may have bounds.
        key: randomness of the Lanczos start vectors behind bounds.
    """
    sweep = _Sweep(update, eta, np.asarray(horizons), tuple(paths), key)
    n = len(points.states.step) - 1
    states = jax.tree.map(lambda leaf: leaf[:-1], points.states)
    after = jax.tree.map(lambda leaf: leaf[1:], points.states.params)
    _, seen = jax.lax.scan(
        sweep.back,
        sweep.at_rest(points),
        (jnp.arange(n), states, after, points.trajectories, points.validation, points.linearised),
        reverse=True,
    )
    contributions, reach, mixed, left_out, outer = seen
    outer = jax.tree.map(lambda leaf: leaf[sweep.horizons - 1], outer)
    return Terms(
        jnp.moveaxis(contributions, 0, 2),
        jnp.moveaxis(reach, 0, 2),
        jax.vmap(_length)(outer),
        mixed,
        left_out,
    )


@dataclass(frozen=True)
class _Sweep:
    """One pass back; its carry is a stack of cotangents, one per horizon, for each of the paths."""

    update: InnerUpdate
    eta: Eta
    horizons: np.ndarray
    paths: tuple[Paths, ...]
    key: PRNGKeyArray

    def at_rest(self, points: Unroll) -> list[Augmented]:
        """The carry before any outer gradient entered."""
        zero = augmented(point(points.states, -1))
        size = len(self.horizons)
        stack = jax.tree.map(lambda leaf: jnp.zeros((size, *leaf.shape), leaf.dtype), zero)
        return [stack] * len(self.paths)

    def back(self, cotangents: list[Augmented], at):
        """Through inner update j, for every path and every horizon beyond j."""
        j, state, after, trajectories, validation, linearised = at
        outer = jax.grad(self.update.problem.outer_loss)(after, validation)
        if linearised is None:
            linearised = self.update.linearised_gradient(state.params, self.eta, trajectories)
        gradient, products = linearised
        mixed = _mixed(self.update, state.params, self.eta, trajectories)
        pairs = self._outliers(j, state, products)

        def through(paths: Paths, cotangent: Augmented):
            pairs_of = pairs if paths.inside is not None else None
            at = (self.update, state, gradient, products, cotangent, paths)
            pulled = pull_back(*at, outliers=pairs_of, mixed=mixed)
            return pulled.cotangent, pulled.to_eta, _length(pulled.to_gradient)

        made = [
            self._each(j, paths, _enter(stack, outer, self.horizons == j + 1), through)
            for paths, stack in zip(self.paths, cotangents, strict=True)
        ]
        cotangents, contributions, reach = map(list, zip(*made, strict=True))
        number = jnp.asarray(0 if pairs is None else pairs.number, self.eta.dtype)
        lengths = jax.vmap(_length)(mixed)
        return cotangents, (jnp.stack(contributions), jnp.stack(reach), lengths, number, outer)

    def _each(self, j, paths: Paths, stack: Augmented, through):
        """The horizons one by one: those that end before j are passed over, not computed."""

        def one(now):
            cotangent, horizon = now
            nothing = (cotangent, jnp.zeros_like(self.eta), jnp.zeros((), self.eta.dtype))
            return jax.lax.cond(
                horizon > j, lambda c: through(paths, c), lambda _: nothing, cotangent
            )

        return jax.lax.map(one, (stack, jnp.asarray(self.horizons)))

    def _outliers(self, j, state: InnerState, products) -> Outliers | None:
        bounded = next((paths for paths in self.paths if paths.inside is not None), None)
        if bounded is None or bounded.inside is None:
            return None
        return outliers(
            lambda v: products(v)[0],
            state.params,
            jax.random.fold_in(self.key, j),
            alpha=self.update.learning_rate(state.step),
            inside=bounded.inside,
            matvecs=bounded.matvecs,
        )


def _enter(stack: Augmented, outer, enters) -> Augmented:
    """Add ∂L'/∂θ to the cotangents of the horizons that end here."""

    def add(cotangents, gradient):
        return cotangents + jnp.tensordot(jnp.asarray(enters, gradient.dtype), gradient, axes=0)

    return stack._replace(params=jax.tree.map(add, stack.params, outer))


def _mixed(update: InnerUpdate, params, eta: Eta, trajectories) -> Any:
    """∂g/∂η, a leading axis over η."""
    _, along = spectra.linearise(lambda eta: update.gradient(params, eta, trajectories), eta)
    return jax.lax.map(along, jnp.eye(eta.size, dtype=eta.dtype))


def _length(tree) -> Float[Array, ""]:
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)))
