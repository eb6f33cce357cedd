"""The meta-gradient estimators: n-step, mix, and Monte-Carlo averages of either."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner.cuts import FULL, Paths
from hessdiag.inner.update import InnerState, InnerUpdate
from hessdiag.meta.adjoint import adjoint_meta_gradient
from hessdiag.meta.start import Start
from hessdiag.meta.unroll import point, unroll

ESTIMATORS = ("n-step", "mix")


@dataclass(frozen=True)
class Estimator:
    """How a meta-gradient is estimated.

    Attributes:
        kind: "n-step" (Bonnet et al. 2021, eq. 5) or "mix" (eq. 10).
        n: number of inner updates; 0 leaves the hyper-parameters fixed.
        kappa: mixing factor κ; None means 1 − 1/n (section 3.5).
        monte_carlo: number K of independent estimates that are averaged (eq. 9).
        chunk: how many of them are computed at once.
        paths: what the meta-gradient differentiates through, if not everything.
        remat: linearise inner steps again in the reverse sweep (memory: a state and a batch of
            trajectories per step); else the unroll stores their linearisations.
    """

    kind: str = "n-step"
    n: int = 1
    kappa: float | None = None
    monte_carlo: int = 1
    chunk: int = 1
    paths: Paths = FULL
    remat: bool = True


class MetaStep(NamedTuple):
    """A meta-gradient and what training keeps of the unroll behind it."""

    meta_gradient: Float[Array, " m"]
    state: InnerState  # after the first inner update
    env_state: Any  # after the first rollout
    trajectories: Any  # τ^(0)
    outer_loss: Float[Array, ""]  # L'(θ^(n), τ̃^(n)) of the first estimate


def mix_weights(n: int, kappa: float | None = None) -> np.ndarray:
    """w_i = κ^{i−1} (1 − κ)/(1 − κ^n), i = 1 … n (eq. 10).

    Args:
        n: number of inner updates, n ≥ 1.
        kappa: κ in [0, 1]; None means 1 − 1/n. At κ = 1 the limit 1/n is taken.
    """
    kappa = 1.0 - 1.0 / n if kappa is None else kappa
    powers = kappa ** np.arange(n)
    return powers / powers.sum()


def meta_step(
    estimator: Estimator,
    update: InnerUpdate,
    start: Start,
    key: PRNGKeyArray,
) -> MetaStep:
    """One meta-gradient at (x_t, η_t), and the first inner update, which training keeps.

    Monte-Carlo averaging draws further unrolls from the same point; θ still moves by the one
    ordinary batch of the first unroll (eq. 8).
    """
    first = _one(estimator, update, start, key)
    more = estimator.monte_carlo - 1
    if more == 0 or estimator.n == 0:
        return first

    def another(k):
        own_key = jax.random.fold_in(key, k)
        return _one(estimator, update, start, own_key).meta_gradient

    others = jax.lax.map(another, _other_samples(more), batch_size=estimator.chunk)
    mean = (first.meta_gradient + jnp.sum(others, axis=0)) / estimator.monte_carlo
    return first._replace(meta_gradient=mean)


def _other_samples(num: int) -> Array:
    """Labels of the further unrolls, apart from those that an unroll folds into its own key."""
    return jnp.uint32(2**31) + jnp.arange(num, dtype=jnp.uint32)


def _outlier_key(key: PRNGKeyArray) -> PRNGKeyArray:
    """Randomness of the eigenpairs that counterfactuals leave out, apart from that of unrolls."""
    return jax.random.fold_in(key, jnp.uint32(2**31 - 1))


def _one(estimator: Estimator, update: InnerUpdate, start: Start, key) -> MetaStep:
    """One estimate from one unroll; for n = 0 the unroll only makes the update."""
    eta = start.eta
    mix = estimator.kind == "mix" and estimator.n > 0
    weights = jnp.asarray(mix_weights(estimator.n, estimator.kappa), eta.dtype) if mix else None

    points = unroll(
        update,
        start,
        key,
        n=max(estimator.n, 1),
        validate_all=mix,
        store=estimator.n > 0 and not estimator.remat,
    )
    gradient = jnp.zeros_like(eta)
    if estimator.n > 0:
        gradient = adjoint_meta_gradient(
            update, eta, points, weights, paths=estimator.paths, key=_outlier_key(key)
        )
    end = point((points.states.params, points.validation), -1)
    return MetaStep(
        gradient,
        point(points.states, 1),
        points.env_state,
        point(points.trajectories, 0),
        update.problem.outer_loss(*end),
    )
