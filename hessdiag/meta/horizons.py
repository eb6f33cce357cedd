"""The i-step meta-gradients of all i from one unroll, by whichever sweep costs less.

Forward sensitivities dx/dη are carried along the unroll, one tangent per entry of η, and every
point's objective differentiated along them: with few meta-parameters, cheaper than sweeps back.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import FULL, Cotangent, InnerState, InnerUpdate, linearised_step, pull_back
from hessdiag.meta.objectives import Objective, Outer, Validation
from hessdiag.meta.streams import Sources, sources
from hessdiag.meta.system import Start, System
from hessdiag.meta.terms import terms
from hessdiag.meta.unroll import point, unroll
from hessdiag.spectra import linearise


def all_horizons(
    system: System,
    start: Start,
    key: PRNGKeyArray,
    *,
    n: int,
    objective: Objective | None = None,
    memory: Any = (),
) -> Float[Array, "n m"]:
    """The i-step meta-gradients, i = 1 … n, each validated on its own τ̃^(i) (eq. 5).

    Args:
        system: the problem and its inner update.
        start: x^(0), η and the environments' state.
        key: randomness of all rollouts.
        n: the longest horizon, n ≥ 1.
        objective: what is descended; the outer loss on fresh trajectories if None.
        memory: what the objective remembers.
    """
    drawn = sources(key, n)
    return all_horizons_from(system, start, drawn, objective=objective, memory=memory)[:, 0]


def all_horizons_from(
    system: System,
    start: Start,
    drawn: Sources,
    *,
    objective: Objective | None = None,
    memory: Any = (),
) -> Float[Array, "n R m"]:
    """As `all_horizons`, from given sources: R meta-gradients that share their inner steps."""
    objective = objective or Validation()
    n, draws = drawn.validation.shape
    if tangents_cost_less(n, start.eta.size, draws):
        return forward_meta_gradients(system, start, drawn, objective, memory)
    points = unroll(system, start, drawn, objective=objective, memory=memory)

    def of_draw(r):
        horizons = range(1, n + 1)
        options = {"horizons": horizons, "cuts": (FULL,), "validation": r, "with_mixed": False}
        return terms(system, start, points, **options).meta_gradients[0]

    return jnp.moveaxis(jax.lax.map(of_draw, jnp.arange(draws)), 0, 1)


def tangents_cost_less(n: int, m: int, draws: int = 1) -> bool:
    """Whether m tangents forward need fewer products of the Hessian than all horizons' sweeps back.

    Forward there are m products a step. In reverse, horizon i goes back through i steps for every
    draw of its validation, and every step is linearised a second time.
    """
    return m * n < draws * n * (n + 1) / 2 + n


def forward_meta_gradients(
    system: System, start: Start, drawn: Sources, objective: Objective, memory: Any
) -> Float[Array, "n R m"]:
    """The i-step meta-gradients by tangents, each validated on R draws of its own (eq. 5)."""

    def observe(state: InnerState, tangents: Cotangent, env_state: Any, keys: Sources):
        def contracted(key):
            outer: Outer = objective(system, state, start.eta, env_state, key, memory)
            return tangents.params @ outer.to_params + outer.to_eta

        return jax.lax.map(contracted, keys.validation)

    return _forward(system, start, drawn, observe)


def sensitivity_norms(system: System, start: Start, drawn: Sources) -> Float[Array, "n m"]:
    """|∂θ^(i)/∂η_k| for i = 1 … n.

    Validation noise reaches the i-step meta-gradient through this sensitivity alone: where the
    noise of T does not change with i, the standard deviation grows as it does.
    """
    return _forward(
        system, start, drawn, lambda _, tangents, *__: jnp.linalg.norm(tangents.params, axis=1)
    )


def outer_growth(system: System, start: Start, drawn: Sources) -> Float[Array, "n m"]:
    """T^(i) · ∂θ^(1)/∂η for i = 1 … n: the i-step meta-gradient, were the sensitivity to stay."""
    points = unroll(system, start, drawn, objective=Validation())
    assert points.outer is not None
    first = point(points.trajectories, 0)
    step = linearised_step(system.update, start.inner, first, start.eta, with_eta=True)
    no_memory = start.flat_zero().memory

    def read(outer):
        return pull_back(step, Cotangent(outer, no_memory), FULL).to_eta

    return jax.lax.map(read, points.outer.to_params[:, 0])


def _forward(
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
    if start.from_eta is not None:
        return jax.lax.map(start.from_eta, jnp.eye(start.eta.size, dtype=start.eta.dtype))
    return jax.tree.map(
        lambda leaf: jnp.zeros((start.eta.size, leaf.size), leaf.dtype), start.flat_zero()
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
    of_gradient = jax.lax.map(lambda pair: along(*pair), (tangents.params, basis))
    after = jax.vmap(step.respond)(*tangents, of_gradient)
    after = jax.tree.map(jnp.add, after, jax.vmap(step.respond_to_eta)(basis))
    return update.apply(state, space.unravel(step.gradient), eta, trajectories), Cotangent(*after)
