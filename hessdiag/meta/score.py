"""The path through what is sampled: score terms of an unroll's trajectories.

E[L'(θ^(i), η, τ̃^(i))] depends on η also by the distribution of every τ^(j), j < i, and of τ̃^(i),
which the derivative at fixed trajectories leaves out. The unbiased estimate adds the objective
times d/dη log p(τ^(j) | θ^(j)(η), η), through the unroll (E-MAML, Stadie et al. 2018; "SF" in
Tang 2021): in reverse, pushes to the cotangents of θ^(j) that the sweep goes through anyway.

Its variance grows with the number B of trajectories in τ^(j), as that of their B scores does. The
linearised estimate ("LSF" in Tang 2021) weights every score by what its own trajectory does to the
objective through the inner gradient, to first order: ⟨c, ∇ℓ_b⟩ / B, with c the cotangent of the
gradient and ℓ_b the loss of trajectory b. The variance then falls with B; a bias of higher order
is the price. It is what DiCE and LVC do to the second derivative of the inner loss.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.errors import UsageError
from hessdiag.meta.adjoint import OfGradient, Pushes
from hessdiag.meta.streams import Sources
from hessdiag.meta.system import Start, System
from hessdiag.meta.unroll import Unroll, validation_at
from hessdiag.spectra import Space

Scores = Literal["none", "full", "centred", "linearised"]
"""Which score terms an estimate has; "centred" has a baseline even where it is of one sample."""


def require_members(system: System, scores: Scores) -> None:
    """Refuse a problem without the members that score terms are made of (UsageError)."""
    needed = {"none": (), "linearised": ("log_prob", "inner_losses")}.get(scores, ("log_prob",))
    for member in needed:
        if not hasattr(system.problem, member):
            raise UsageError(
                "--estimator: score terms are not allowed with this problem, which has no "
                f"{member}(params, hyper, trajectories); allowed: estimators without, or a problem "
                "with it (see hessdiag.problems.Problem)"
            )


def objective_values(
    system: System, start: Start, drawn: Sources, points: Unroll
) -> Float[Array, " k"]:
    """What scores are weighted by, at the k points where the unroll was evaluated.

    The outer loss; or `outer_value`, where the problem's outer loss is a surrogate of it.
    """
    assert points.outer is not None
    of_problem: Any = getattr(system.problem, "outer_value", None)
    if of_problem is None:
        return points.outer.value[:, 0]
    hyper, validated = system.hyper(start.eta), _validated(system, start, drawn, points)
    return jax.lax.map(lambda pair: of_problem(pair[0], hyper, pair[1]), validated)


def score_pushes(
    system: System,
    start: Start,
    drawn: Sources,
    points: Unroll,
    advantages: Float[Array, " k"],
    *,
    of_inner: bool = True,
) -> Pushes:
    """Σ_i A_i (Σ_{j<i} log p(τ^(j) | θ^(j), η) + log p(τ̃^(i) | θ^(i), η)), differentiated.

    A_i is the objective less its baseline, times w_i, at the last k of the n points. Where the
    problem has an `outer_value`, the derivative of its outer loss has the last score already. The
    inner scores are left out where they are linearised instead.
    """
    problem: Any = system.problem
    n, k = len(points.losses), len(advantages)
    of_horizons = jnp.pad(advantages, (n - k, 0))
    to_come = jnp.cumsum(of_horizons[::-1])[::-1]  # after τ^(j): of the horizons i > j
    is_surrogate = hasattr(problem, "outer_value")
    validation = () if is_surrogate else _validated(system, start, drawn, points)[1]

    def total(params, eta):
        hyper = system.hyper(eta)

        def scores(*sampled):
            def of_point(pair):
                return jnp.sum(problem.log_prob(pair[0], hyper, pair[1]))

            return jax.lax.map(of_point, sampled)

        sum_of_scores = jnp.zeros((), advantages.dtype)
        if of_inner:
            sum_of_scores += to_come @ scores(_rows(params, slice(n)), points.trajectories)
        if not is_surrogate:
            sum_of_scores += advantages @ scores(_rows(params, slice(-k, None)), validation)
        return sum_of_scores

    to_params, to_eta = jax.grad(total, argnums=(0, 1))(points.states.params, start.eta)
    return Pushes(jax.vmap(Space.like(start.inner.params).ravel)(to_params), to_eta)


def linearised_scores(system: System, start: Start) -> OfGradient:
    """Every trajectory's score, times what its own gradient does to the objective (Tang 2021)."""
    problem: Any = system.problem
    space = Space.like(start.inner.params)

    def of_gradient(params, trajectories, cotangent):
        def losses(params):
            return problem.inner_losses(params, system.hyper(start.eta), trajectories)

        _, effects = jax.jvp(losses, (params,), (space.unravel(cotangent),))

        def weighted(params, eta):
            log_prob = problem.log_prob(params, system.hyper(eta), trajectories)
            return jnp.mean(effects * log_prob)

        to_params, to_eta = jax.grad(weighted, argnums=(0, 1))(params, start.eta)
        return space.ravel(to_params), to_eta

    return of_gradient


def _validated(system: System, start: Start, drawn: Sources, points: Unroll) -> tuple[Any, Any]:
    """(θ^(i), τ̃^(i)) where the objective was evaluated: sampled again, from the same keys."""
    assert points.outer is not None
    evaluated = slice(-len(points.outer.value), None)
    return validation_at(system, start, points, drawn.validation[evaluated, 0])


def _rows(stacked: Any, rows: slice) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], stacked)
