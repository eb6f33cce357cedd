"""The outer loss as a function of η: unrolls under another η, on a sample's own random numbers."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import Eta
from hessdiag.meta import streams
from hessdiag.meta.objectives import Validation
from hessdiag.meta.system import Start, System, again
from hessdiag.meta.unroll import unroll, validation_at


class Held(NamedTuple):
    """What an unroll saw, stacked: to be given to unrolls under another η."""

    inner: Any  # τ^(0) … τ^(n−1)
    validation: Any  # τ̃^(1) … τ̃^(n)


def outer_losses(
    system: System,
    start: Start,
    eta: Eta,
    key: PRNGKeyArray,
    *,
    n: int,
    at: Literal["all", "last"] = "all",
) -> Float[Array, " i"]:
    """The outer losses after 1 … n inner updates under η, or after n alone.

    Args:
        system: the problem and its inner update.
        start: of the sample's unroll; where it depends on η it is made again.
        eta: in the place of the start's own.
        key: of the sample: all randomness is the same under every η.
        n: number of inner updates.
        at: where the outer loss is evaluated.
    """
    drawn, moved = streams.sources(key, n), _under(system, start, eta, key)
    points = unroll(system, moved, drawn, objective=Validation(), at=at)
    assert points.outer is not None
    return points.outer.value[:, 0]


def held(system: System, start: Start, key: PRNGKeyArray, *, n: int) -> Held:
    """The trajectories of a sample's unroll of n inner updates under its own η."""
    drawn = streams.sources(key, n)
    points = unroll(system, start, drawn)
    return Held(
        points.trajectories, validation_at(system, start, points, drawn.validation[:, 0])[1]
    )


def held_losses(
    system: System, start: Start, eta: Eta, key: PRNGKeyArray, seen: Held
) -> Float[Array, " n"]:
    """The outer losses after 1 … n inner updates under η, on given trajectories.

    Nothing is sampled. Where losses stop no gradient of their own, the derivative in η at the η
    that the trajectories come from is the i-step meta-gradient. Others as in `outer_losses`.
    """

    def step(state, of_step: Held):
        after = system.update(state, of_step.inner, eta)
        return after, system.outer_loss(after.params, eta, of_step.validation)

    return jax.lax.scan(step, _under(system, start, eta, key).inner, seen)[1]


def outcomes(
    system: System, start: Start, eta: Eta, key: PRNGKeyArray, *, n: int
) -> Float[Array, "n values"]:
    """The outer losses after 1 … n inner updates under η, and what they stand for.

    The second value is there where the problem says what its outer loss stands for: see `aim`.
    Arguments as in `outer_losses`, whose numbers the first one has.
    """
    drawn, moved = streams.sources(key, n), _under(system, start, eta, key)
    aimed = aim(system)

    def values(pair):
        params, trajectories = pair
        loss = system.outer_loss(params, eta, trajectories)
        others = [] if aimed is None else [aimed(params, system.hyper(eta), trajectories)]
        return jnp.stack([loss, *others])

    points = unroll(system, moved, drawn)
    return jax.lax.map(values, validation_at(system, moved, points, drawn.validation[:, 0]))


def aim(system: System) -> Any:
    """What is to be small on average where the outer loss is a surrogate of it; None if it is none.

    A function of parameters, hyper-parameters and trajectories. The value of a surrogate such as
    −log π · A says little: its derivative at held trajectories is what it is made for.
    """
    names = ("outer_value", "outer_aim")
    return next(filter(None, (getattr(system.problem, name, None) for name in names)), None)


def _under(system: System, start: Start, eta: Eta, key: PRNGKeyArray) -> Start:
    """The start of the sample's unroll with another η."""
    if start.from_eta is not None:
        start = again(system, eta, streams.start(key))
    return start._replace(eta=eta)
