"""Monotone maps from an unconstrained meta-parameter to a hyper-parameter."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


class Transform(NamedTuple):
    """A monotone map, its inverse, and the open interval of its values."""

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    low: float
    high: float


TRANSFORMS = {
    "sigmoid": Transform(
        jax.nn.sigmoid, lambda zeta: jnp.log(zeta) - jnp.log1p(-zeta), low=0.0, high=1.0
    ),
    "identity": Transform(lambda eta: eta, lambda zeta: zeta, low=-np.inf, high=np.inf),
    "exp": Transform(jnp.exp, jnp.log, low=0.0, high=np.inf),
    "softplus": Transform(
        jax.nn.softplus, lambda zeta: zeta + jnp.log(-jnp.expm1(-zeta)), low=0.0, high=np.inf
    ),
}
