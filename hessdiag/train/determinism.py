"""Whether a problem gives the same whenever it is asked, on which all that is measured rests."""

from collections.abc import Callable, Iterator
from typing import Any

import jax

from hessdiag import spectra
from hessdiag.errors import UsageError
from hessdiag.inner import InnerUpdate
from hessdiag.problems import initial_eta


def require_deterministic(update: InnerUpdate, name: str) -> None:
    """Refuse a problem whose functions do not depend on their arguments alone.

    One that draws random numbers of its own, or that reads what changes, is another problem in
    every compiled program: its Hessian products are no linear map, and spectra and meta-gradients
    "on the same states" are not on the same states.

    Args:
        update: the inner update of the problem.
        name: of the problem, for the message.

    Raises:
        UsageError: a function gave another result when it ran or was traced again.
    """
    for member, function, operands in _functions(update):
        if not spectra.repeats(function, *operands):
            raise UsageError(
                f"--env: {name!r} is not deterministic: its {member} gave another result when run "
                "or traced again; allowed: functions of their arguments alone, with all randomness "
                "from the key"
            )


def _functions(update: InnerUpdate) -> Iterator[tuple[str, Callable, tuple[Any, ...]]]:
    """Members of the problem with arguments, each checked before the next one uses its result."""
    problem = update.problem
    init_key, key = jax.random.split(jax.random.key(0))
    yield "init", problem.init, (init_key,)
    params, env_state = jax.jit(problem.init)(init_key)
    yield "rollout", problem.rollout, (params, env_state, key)
    _, trajectories = jax.jit(problem.rollout)(params, env_state, key)
    eta = initial_eta(update.meta_parameters)
    yield "inner_loss", jax.grad(update.loss, argnums=(0, 1)), (params, eta, trajectories)
    yield "outer_loss", jax.grad(problem.outer_loss), (params, trajectories)
