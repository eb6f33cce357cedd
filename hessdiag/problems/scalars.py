"""From the unconstrained meta-parameters η to the hyper-parameters ζ = transform(η), and back."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.errors import UsageError
from hessdiag.problems.base import MetaParameter


class Transform(NamedTuple):
    """A monotone map and its inverse."""

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]


TRANSFORMS = {
    "sigmoid": Transform(jax.nn.sigmoid, lambda zeta: jnp.log(zeta) - jnp.log1p(-zeta)),
    "identity": Transform(lambda eta: eta, lambda zeta: zeta),
}


def transform_of(parameter: MetaParameter) -> Transform:
    """The transform of one meta-parameter.

    Raises:
        UsageError: unknown transform.
    """
    if parameter.transform not in TRANSFORMS:
        raise UsageError(
            f"transform of {parameter.name}: {parameter.transform!r} is unknown; "
            f"allowed: {', '.join(TRANSFORMS)}"
        )
    return TRANSFORMS[parameter.transform]


def initial_eta(parameters: Sequence[MetaParameter]) -> Float[Array, " m"]:
    """The η at which the hyper-parameters have their start values."""
    start = [transform_of(p).inverse(jnp.asarray(p.start, float)) for p in parameters]
    return jnp.stack(start)


def hyper_parameters(
    parameters: Sequence[MetaParameter], eta: Float[Array, " m"]
) -> dict[str, Float[Array, ""]]:
    """ζ by name."""
    return {p.name: transform_of(p).forward(eta[k]) for k, p in enumerate(parameters)}
