"""The i-step meta-gradients of all i from one unroll, by whichever sweep costs less."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import FULL
from hessdiag.meta.forward import forward_meta_gradients
from hessdiag.meta.objectives import Objective, Validation
from hessdiag.meta.start import Start
from hessdiag.meta.streams import Sources, sources
from hessdiag.meta.system import System
from hessdiag.meta.terms import terms
from hessdiag.meta.unroll import unroll


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

    Returns:
        Row i−1 is the i-step meta-gradient with respect to the unconstrained η.
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
