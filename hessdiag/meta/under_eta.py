"""The outer loss as a function of η: unrolls under another η, on a sample's own random numbers."""

from collections.abc import Callable
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
    """What a sample's unroll was at its own η, stacked: to be given to unrolls under others."""

    eta: Eta
    params: Any  # θ^(1) … θ^(n)
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

    Where the outer loss is a surrogate, what it stands for (`aim`): the value of a surrogate such
    as −A log π says little.

    Args:
        system: the problem and its inner update.
        start: of the sample's unroll; where it depends on η it is made again.
        eta: in the place of the start's own.
        key: of the sample: all randomness is the same under every η.
        n: number of inner updates.
        at: where the outer loss is evaluated.
    """
    drawn, moved = streams.sources(key, n), _under(system, start, eta, key)
    aimed = aim(system)
    if aimed is None:
        points = unroll(system, moved, drawn, objective=Validation(), at=at)
        assert points.outer is not None
        return points.outer.value[:, 0]
    goal, keys = _of_eta(system, aimed), drawn.validation[:, 0]
    points, keys = unroll(system, moved, drawn), keys if at == "all" else keys[-1:]
    seen = validation_at(system, moved, points, keys)
    return jax.lax.map(lambda of_point: goal(of_point[0], eta, of_point[1]), seen)


def held(system: System, start: Start, key: PRNGKeyArray, *, n: int) -> Held:
    """The unroll of a sample under its own η, to be given to `responses`."""
    drawn = streams.sources(key, n)
    points = unroll(system, start, drawn)
    params, validation = validation_at(system, start, points, drawn.validation[:, 0])
    return Held(start.eta, params, points.trajectories, validation)


def responses(
    system: System, start: Start, eta: Eta, key: PRNGKeyArray, seen: Held
) -> Float[Array, "3 n"]:
    """What another η does to the outer loss after 1 … n inner updates, more and more followed.

    First with all trajectories as they were, then with inner trajectories of its own, then with all
    trajectories of its own. Where the outer loss is a surrogate, `aim` is what the last one is of,
    and the others are its first-order change T Δθ (from zero): what a surrogate stops at would move
    with θ, and its value is no goal.

    Where losses stop no gradient, the first one's derivative in η is the i-step meta-gradient.
    Where inner losses stop some, it also follows that path, which the meta-gradient lacks.

    Args:
        system: the problem and its inner update.
        start: of the sample's unroll; where it depends on η it is made again.
        eta: in the place of the start's own.
        key: of the sample: all randomness is the same under every η.
        seen: the unroll under the start's own η.
    """
    drawn = streams.sources(key, len(jax.tree.leaves(seen.params)[0]))
    moved, aimed = _under(system, start, eta, key), aim(system)
    points = unroll(system, moved, drawn)

    def replay(state, trajectories):
        after = system.update(state, trajectories, eta)
        return after, after.params

    def values(of_point):
        replayed, (params, own), (was, trajectories) = of_point
        on_held = _on(system, seen.eta, was, trajectories)
        last = system.outer_loss if aimed is None else _of_eta(system, aimed)
        told = on_held(replayed, eta), on_held(params, eta), last(params, eta, own)
        return jnp.stack(told)

    _, replayed = jax.lax.scan(replay, moved.inner, seen.inner)
    own = validation_at(system, moved, points, drawn.validation[:, 0])
    return jax.lax.map(values, (replayed, own, (seen.params, seen.validation))).T


def _on(system: System, eta: Eta, params: Any, trajectories: Any) -> Callable[[Any, Eta], Any]:
    """The outer loss on these trajectories; of a surrogate, its first-order change from here."""

    def loss(params, eta):
        return system.outer_loss(params, eta, trajectories)

    if aim(system) is None:
        return loss

    def change(others, other):
        by = jax.tree.map(jnp.subtract, (others, other), (params, eta))
        return jax.jvp(loss, (params, eta), by)[1]

    return change


def _of_eta(system: System, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of hyper-parameters as one of η."""
    return lambda params, eta, trajectories: function(params, system.hyper(eta), trajectories)


def aim(system: System) -> Any:
    """What is to be small on average where the outer loss is a surrogate of it; None if it is none.

    A function of parameters, hyper-parameters and trajectories. The value of a surrogate such as
    −A log π says little: it is made for its derivative on trajectories that are held.
    """
    names = ("outer_value", "outer_aim")
    return next(filter(None, (getattr(system.problem, name, None) for name in names)), None)


def _under(system: System, start: Start, eta: Eta, key: PRNGKeyArray) -> Start:
    """The start of the sample's unroll with another η."""
    if start.from_eta is not None:
        start = again(system, eta, streams.start(key))
    return start._replace(eta=eta)
