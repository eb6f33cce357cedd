"""Inner optimisers by name, and the meta-optimiser."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from hessdiag.errors import UsageError
from hessdiag.problems.registry import callable_at


class _Optimiser(NamedTuple):
    """Gradient → direction of descent, and its constants with optax's defaults."""

    direction: Callable[..., optax.GradientTransformation]
    constants: Mapping[str, float]


OPTIMISERS = {
    "adam": _Optimiser(optax.scale_by_adam, {"b1": 0.9, "b2": 0.999, "eps": 1e-8}),
    "sgd": _Optimiser(optax.identity, {}),
    "momentum": _Optimiser(lambda b1: optax.trace(decay=b1), {"b1": 0.9}),
    "rmsprop": _Optimiser(  # ε inside the root
        lambda b2, eps: optax.scale_by_rms(decay=b2, eps=eps), {"b2": 0.9, "eps": 1e-8}
    ),
}

NAME = "learning.optimiser (--optimiser)"


def constants_of(name: str, **given: float | None) -> dict[str, float]:
    """The constants of an optimiser: what is given, optax's defaults where that is None.

    Args:
        name: of the optimiser; one of the user's own has no constants that we know.
        given: `b1`, decay of the averaged gradient; `b2`, of the averaged squares; `eps`.

    Raises:
        UsageError: unknown name; a constant that the optimiser does not have, or out of range.
    """
    if name not in OPTIMISERS and ":" not in name:
        raise UsageError(
            f"{NAME}: {name!r} is unknown; allowed: {', '.join(OPTIMISERS)}, or module:function"
        )
    known = dict(OPTIMISERS[name].constants) if name in OPTIMISERS else {}
    chosen = {key: value for key, value in given.items() if value is not None}
    for key, value in chosen.items():
        if key not in known:
            allowed = ", ".join(f"learning.{constant}" for constant in known) or "none"
            raise UsageError(
                f"learning.{key}: {name} has no such constant; allowed with it: {allowed}"
            )
        if not (value > 0 if key == "eps" else 0 <= value < 1):
            allowed = "more than 0" if key == "eps" else "0 to below 1"
            raise UsageError(f"learning.{key}: {value!r} is not allowed; allowed: {allowed}")
    return known | chosen


def inner_optimiser(
    name: str, learning_rate: Callable | float, **given: float | None
) -> optax.GradientTransformation:
    """The optimiser called `name`, whose updates are changes of the parameters.

    Args:
        name: one of `OPTIMISERS`, or ``module:function`` of the user's own: a function of the
            learning rate, as optax's optimisers are (`optax:lion`).
        learning_rate: α, or a schedule of it over inner steps.
        given: constants, as `constants_of` has them.

    Raises:
        UsageError: see `constants_of`; or the user's own gives no optax transformation.
    """
    constants = constants_of(name, **given)
    if name in OPTIMISERS:
        direction = OPTIMISERS[name].direction(**constants)
        return optax.chain(direction, optax.scale_by_learning_rate(learning_rate))
    try:
        optimiser = callable_at(name, flag=NAME)(learning_rate)
    except UsageError:
        raise
    except Exception as error:  # whatever a user's function may raise
        raise UsageError(f"{NAME}: {name!r} failed ({type(error).__name__}: {error})") from error
    if isinstance(optimiser, optax.MultiSteps):
        return optimiser.gradient_transformation()
    if not isinstance(optimiser, optax.GradientTransformation):
        raise UsageError(
            f"{NAME}: {name!r} gave a {type(optimiser).__name__}; allowed: a function of the "
            "learning rate that gives an optax transformation"
        )
    return optimiser


def clip_to_norm(max_norm: float) -> Callable[[Any], Any]:
    """Gradient → gradient, scaled down to global norm `max_norm` where it is longer.

    Optax's divides by the norm where that is zero, which has no derivative there.
    """

    def clip(gradient):
        norm = optax.tree.norm(gradient)
        longer = norm > max_norm
        scale = jnp.where(longer, max_norm / jnp.where(longer, norm, 1.0), 1.0)
        return jax.tree.map(lambda leaf: scale * leaf, gradient)

    return clip


def annealing(kind: str, start: float, updates: int) -> Callable:
    """The learning rate at every inner step: "constant", or "linear" to 0 after `updates`."""
    if kind == "constant":
        return optax.constant_schedule(start)
    linear = optax.linear_schedule(start, 0.0, updates)
    return lambda step: jnp.maximum(linear(step), 0.0)  # at the end it may round to below 0


def meta_optimiser(
    learning_rate: float, *, clip_norm: float = 0.0, eps_root: float = 0.0
) -> optax.GradientTransformation:
    """Adam on η, after clipping (if any); never differentiated."""
    clip = [optax.clip_by_global_norm(clip_norm)] if clip_norm > 0 else []
    return optax.chain(*clip, optax.adam(learning_rate, eps_root=eps_root))
