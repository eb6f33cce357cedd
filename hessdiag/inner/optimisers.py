"""Inner optimisers that can be differentiated where their gradients are exactly zero.

√v has an infinite slope at v = 0, so reverse mode turns Adam's update into NaN for every parameter
whose gradient was zero so far (dead ReLU units), and a global norm does the same when the whole
gradient vanishes. The roots here have slope zero at zero: the right limit, since m and g vanish
faster than √v. The forward update is optax's to the last bit.

A transformation maps a gradient to a direction; the learning rate is applied by the inner update.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from hessdiag.errors import UsageError


def safe_sqrt(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """√x, with derivative 0 instead of ∞ at x = 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def scale_by_adam(
    b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> optax.GradientTransformation:
    """Adam's direction m̂ / (√v̂ + ε), differentiable at v = 0.

    Args:
        b1: decay of the first moment (default of optax and of Kingma & Ba 2015).
        b2: decay of the second moment.
        eps: added outside the root; there is no constant inside it.
    """

    def update(updates, state, params=None, **_):
        del params
        mu = optax.tree.update_moment(updates, state.mu, b1, 1)
        nu = optax.tree.update_moment_per_elem_norm(updates, state.nu, b2, 2)
        count = optax.safe_increment(state.count)
        mu_hat = optax.tree.bias_correction(mu, b1, count)
        nu_hat = optax.tree.bias_correction(nu, b2, count)
        direction = jax.tree.map(lambda m, v: m / (safe_sqrt(v) + eps), mu_hat, nu_hat)
        return direction, optax.ScaleByAdamState(count=count, mu=mu, nu=nu)

    return optax.GradientTransformation(optax.scale_by_adam(b1, b2, eps).init, update)


def clip_to_norm(gradient: Any, max_norm: float) -> Any:
    """The gradient, scaled down to global norm `max_norm` where it is longer; smooth at zero."""
    norm = safe_sqrt(optax.tree.norm(gradient, squared=True))
    longer = norm > max_norm
    scale = jnp.where(longer, max_norm / jnp.where(longer, norm, 1.0), 1.0)
    return jax.tree.map(lambda leaf: scale * leaf, gradient)


class _Optimiser(NamedTuple):
    """How an inner optimiser is made, and its constants with their defaults, optax's."""

    make: Callable[..., optax.GradientTransformation]
    constants: Mapping[str, float]


def _rmsprop(b2: float, eps: float) -> optax.GradientTransformation:
    return optax.scale_by_rms(decay=b2, eps=eps)  # ε inside the root, which is smooth at zero


OPTIMISERS = {
    "adam": _Optimiser(scale_by_adam, {"b1": 0.9, "b2": 0.999, "eps": 1e-8}),
    "sgd": _Optimiser(optax.identity, {}),
    "momentum": _Optimiser(lambda b1: optax.trace(decay=b1), {"b1": 0.9}),
    "rmsprop": _Optimiser(_rmsprop, {"b2": 0.9, "eps": 1e-8}),
}


def constants_of(name: str, **given: float | None) -> dict[str, float]:
    """The constants of an optimiser: what is given, defaults where that is None.

    Args:
        name: of the optimiser.
        given: `b1`, decay of the averaged gradient; `b2`, of the averaged squares; `eps`.

    Raises:
        UsageError: unknown name; a constant that the optimiser does not have, or out of range.
    """
    if name not in OPTIMISERS:
        raise UsageError(
            f"learning.optimiser: {name!r} is unknown; allowed: {', '.join(OPTIMISERS)}"
        )
    made = dict(OPTIMISERS[name].constants)
    for key, value in given.items():
        if value is None:
            continue
        if key not in made:
            allowed = ", ".join(f"learning.{one}" for one in made) or "none"
            raise UsageError(
                f"learning.{key}: {name} has no such constant; allowed with it: {allowed}"
            )
        if not (value > 0 if key == "eps" else 0 <= value < 1):
            allowed = "more than 0" if key == "eps" else "0 to below 1"
            raise UsageError(f"learning.{key}: {value!r} is not allowed; allowed: {allowed}")
        made[key] = value
    return made


def inner_optimiser(name: str, **given: float | None) -> optax.GradientTransformation:
    """The direction of the optimiser called `name`, with constants as `constants_of` has them."""
    constants = constants_of(name, **given)
    return OPTIMISERS[name].make(**constants)


def meta_optimiser(learning_rate: float, *, clip_norm: float = 0.0) -> optax.GradientTransformation:
    """Adam on η, after clipping (if any); never differentiated."""
    clip = [optax.clip_by_global_norm(clip_norm)] if clip_norm > 0 else []
    return optax.chain(*clip, optax.adam(learning_rate))
