"""η as a few named scalars: hyper-parameters ζ = transform(η), and back."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.errors import UsageError
from hessdiag.problems.base import MetaParameter


class Transform(NamedTuple):
    """A monotone map, its inverse, and the open interval of its values."""

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    low: float
    high: float


TRANSFORMS = {
    "sigmoid": Transform(jax.nn.sigmoid, lambda zeta: jnp.log(zeta) - jnp.log1p(-zeta), 0.0, 1.0),
    "identity": Transform(lambda eta: eta, lambda zeta: zeta, -np.inf, np.inf),
    "exp": Transform(jnp.exp, jnp.log, 0.0, np.inf),
    "softplus": Transform(
        jax.nn.softplus, lambda zeta: zeta + jnp.log(-jnp.expm1(-zeta)), 0.0, np.inf
    ),
}


class NamedScalars:
    """A problem's `init_eta` and `hyper`, from its `meta_parameters`; η is a vector (m,)."""

    meta_parameters: Sequence[MetaParameter]

    def init_eta(self, key: PRNGKeyArray) -> Float[Array, " m"]:
        """The η at which the hyper-parameters have their start values."""
        del key
        return initial_eta(self.meta_parameters)

    def hyper(self, eta: Float[Array, " m"]) -> dict[str, Float[Array, ""]]:
        """ζ by name."""
        return hyper_parameters(self.meta_parameters, eta)


def initial_eta(parameters: Sequence[MetaParameter]) -> Float[Array, " m"]:
    """The η at which the hyper-parameters have their start values.

    Raises:
        UsageError: an unknown transform, a start that it cannot reach, or a name given twice.
    """
    names = [parameter.name for parameter in parameters]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"meta-parameter {name!r} is there twice; allowed: names of their own")
    return jnp.stack([_start(parameter) for parameter in parameters])


def hyper_parameters(
    parameters: Sequence[MetaParameter], eta: Float[Array, " m"]
) -> dict[str, Float[Array, ""]]:
    """ζ by name."""
    return {p.name: _transform(p).forward(eta[k]) for k, p in enumerate(parameters)}


def with_transform(problem: Any, transform: str | None) -> Any:
    """The problem with one transform on all its named scalars; None leaves each its own.

    Raises:
        UsageError: its η are no named scalars.
    """
    if transform is None:
        return problem
    if not isinstance(problem, NamedScalars):
        raise UsageError(
            f"learning.transform: {transform!r} is not allowed with this problem, whose "
            "meta-parameters are no named scalars; allowed: none"
        )
    return _Transformed(problem, transform)


class _Transformed(NamedScalars):
    """A problem with one transform on all its named scalars."""

    def __init__(self, problem: Any, transform: str):
        self._problem = problem
        self.meta_parameters = tuple(
            dataclasses.replace(p, transform=transform) for p in problem.meta_parameters
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._problem, name)


def _transform(parameter: MetaParameter) -> Transform:
    if parameter.transform not in TRANSFORMS:
        raise UsageError(
            f"transform of {parameter.name}: {parameter.transform!r} is unknown; "
            f"allowed: {', '.join(TRANSFORMS)}"
        )
    transform, ends = TRANSFORMS[parameter.transform], parameter.between
    if ends is None or parameter.transform != "sigmoid":
        return transform
    low, width = ends[0], ends[1] - ends[0]
    return Transform(
        lambda eta: low + width * transform.forward(eta),
        lambda zeta: transform.inverse((zeta - low) / width),
        *ends,
    )


def _start(parameter: MetaParameter) -> Float[Array, ""]:
    transform = _transform(parameter)
    if not transform.low < parameter.start < transform.high:
        raise UsageError(
            f"start of {parameter.name}: {parameter.start} is not allowed with the transform "
            f"{parameter.transform}; allowed: between {transform.low:g} and {transform.high:g}"
        )
    return transform.inverse(jnp.asarray(parameter.start, float))
