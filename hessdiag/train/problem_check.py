"""Whether a user's problem keeps the contract on which all that is measured rests."""

from collections.abc import Callable, Iterator
from typing import Any

import jax

from hessdiag import spectra
from hessdiag.errors import UsageError
from hessdiag.meta import System, streams
from hessdiag.train.env_state import settled

_ROUNDING = 1e-4  # of the largest of a loss's terms


def require_sound_problem(system: System, name: str) -> None:
    """Refuse a problem that cannot run, or whose functions do not depend on arguments alone.

    One that draws random numbers of its own, or that reads what changes, is another problem in
    every compiled program: its Hessian products are no linear map. Messages call it `name`.

    Raises:
        UsageError: a member fails, gave another result when it ran or was traced again, or has not
            the metrics that its About names.
    """
    for member, function, operands in _functions(system, name):
        if not _repeats(name, member, function, operands):
            raise UsageError(
                f"--env: {name!r} is not deterministic: its {member} gave another result when run "
                "or traced again; allowed: functions of their arguments alone, with all randomness "
                "from the key"
            )


def _repeats(name: str, member: str, function: Callable, operands: tuple[Any, ...]) -> bool:
    try:
        return spectra.repeats(function, *operands)
    except UsageError:
        raise
    except KeyError as error:
        raise UsageError(
            f"--env: {member} of {name!r} asks for {error}, which is not there; allowed: the "
            "names of its meta-parameters"
        ) from error
    except Exception as error:  # whatever a user's function may raise
        said = " ".join(str(error).split())[:200]
        raise UsageError(
            f"--env: {member} of {name!r} failed ({type(error).__name__}: {said}); "
            "allowed: functions as in hessdiag.problems.Problem"
        ) from error


def _functions(system: System, name: str) -> Iterator[tuple[str, Callable, tuple[Any, ...]]]:
    """Members of the problem with arguments, each checked before the next one uses its result."""
    problem, about = system.problem, system.problem.about

    def metrics(params, trajectories):
        values = problem.metrics(params, trajectories)
        for told, name in (
            ("headline", about.headline),
            *(("followed", n) for n in about.followed),
        ):
            if name not in values:
                names = ", ".join(values)
                raise LookupError(f"the {told} {name!r} is none of its metrics: {names}")
        return values

    first, key = jax.random.split(jax.random.key(0))
    eta = system.init_eta(streams.initial_eta(first))
    tree = system.eta_space.unravel(eta)
    yield "start", problem.start, (tree, first)
    params, env_state = jax.jit(problem.start)(tree, first)
    try:
        env_state = settled(lambda at: system.rollout(params, eta, at, key)[0], env_state, name)
    except UsageError:
        raise
    except Exception:  # whatever a rollout may raise: it is run next, and said there
        pass
    yield "rollout", system.rollout, (params, eta, env_state, key)
    _, trajectories = jax.jit(system.rollout)(params, eta, env_state, key)
    for member, loss in (("inner_loss", system.update.loss), ("outer_loss", system.outer_loss)):
        yield member, jax.grad(loss, argnums=(0, 1)), (params, eta, trajectories)
    if hasattr(problem, "inner_loss_terms"):
        yield "inner_loss_terms", system.inner_loss_terms, (params, eta, trajectories)
        _require_sum(system, name, (params, eta, trajectories))
    yield "metrics", metrics, (params, trajectories)


def _require_sum(system: System, name: str, operands: tuple[Any, ...]) -> None:
    """Refuse terms of a loss whose sum is another one: such as terms that are inherited."""
    loss, terms = jax.jit(lambda *at: (system.update.loss(*at), system.inner_loss_terms(*at)))(
        *operands
    )
    sizes = [abs(float(term)) for term in terms.values()]
    apart = abs(sum(float(term) for term in terms.values()) - float(loss))
    if not apart <= _ROUNDING * max(sizes, default=0.0):
        raise UsageError(
            f"--env: inner_loss_terms of {name!r} do not sum to its inner_loss, but are off by "
            f"{apart:g}; allowed: terms whose sum is the inner loss"
        )
