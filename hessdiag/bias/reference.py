"""Exact meta-gradients: of settings that sample nothing, or by enumeration of all that is sampled.

There are several things that "the bias" of a meta-gradient can be meant against. Of an estimate
whose inner updates are noisy, the exact inner updates' meta-gradient tells the compositional and
the Hessian bias (Liu et al. 2022). The gradient of the expected outer loss, the expectation being
over the N inner samples too, tells whether score terms are right (Tang 2021).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hessdiag.errors import UsageError
from hessdiag.meta import Start, System

_SAME = 1e-9  # relative difference of two evaluations of what is exact
MOST_OUTCOMES = 2_000_000  # of whole unrolls


def enumerated(system: System, start: Any, eta: Float[Array, " m"], n: int) -> Float[Array, " m"]:
    """d/dη E[L'(θ^(n))] over every batch that the n inner updates can learn from.

    Args:
        system: of a problem with `outcomes` and `expected_outer_loss`.
        start: η → `Start`.
        eta: where.
        n: inner updates.

    Raises:
        UsageError: the problem has no such members, or there are too many outcomes.
    """
    problem: Any = system.problem
    for member in ("outcomes", "expected_outer_loss"):
        if not hasattr(problem, member):
            raise UsageError(
                f"reference: enumerated is not allowed with this problem, which has no {member} "
                "(see hessdiag.problems.Problem); allowed: settings without sampling"
            )

    def expected(eta):
        first: Start = start(eta)
        return _expected(system, first.inner, eta, first.env_state, n)

    first: Start = start(eta)
    params, env_state = first.inner.params, first.env_state
    batches = jax.eval_shape(lambda: problem.outcomes(params, system.hyper(eta), env_state)[0])
    if batches.shape[0] ** n > MOST_OUTCOMES:
        raise UsageError(
            f"reference: {batches.shape[0]}^{n} outcomes are too many to enumerate; allowed: "
            f"{MOST_OUTCOMES:,}"
        )
    return jax.jit(jax.grad(expected))(eta)


def _expected(system: System, state: Any, eta: Any, env_state: Any, n: int) -> Float[Array, ""]:
    """E[L'] of what follows a state, with n inner updates to come."""
    problem: Any = system.problem
    if n == 0:
        return problem.expected_outer_loss(state.params, system.hyper(eta), env_state)
    likely, batches = problem.outcomes(state.params, system.hyper(eta), env_state)

    def after(batch):
        return _expected(system, system.update(state, batch, eta), eta, env_state, n - 1)

    return jnp.sum(likely * jax.lax.map(after, batches, batch_size=min(len(likely), 1024)))


def require_exact(first: np.ndarray, second: np.ndarray) -> None:
    """Refuse a reference that random numbers change.

    Raises:
        UsageError: the two evaluations differ by more than rounding.
    """
    apart = np.abs(first - second).max(initial=0.0)
    if apart > _SAME * max(np.abs(first).max(initial=0.0), 1e-300):
        raise UsageError(
            "reference: these settings sample something, so that two evaluations differ by "
            f"{apart:.2g}; allowed: settings without sampling"
        )
