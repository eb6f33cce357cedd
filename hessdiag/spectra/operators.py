"""Symmetric linear maps on flat vectors, and the check that they are symmetric."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, DTypeLike, Float, Key, PyTree

SYMMETRY_LIMIT = 50.0
"""Largest symmetry defect that passes for rounding, in units of eps of the matvec's dtype.

Rounding alone gives 0.01 to 1 eps: an exact Hessian of a small network 0.05 eps, a rank-one matrix
up to 1 eps. The defect of a matrix with relative asymmetry a = |A - A'|_F / |A|_F is about
a / (2 sqrt(d)), so the limit must not grow with d: at d = 25000 in float32 it refuses a > 2e-3.
"""


class NonSymmetricOperatorError(ValueError):
    """A symmetric method was asked for the spectrum of an operator that is not symmetric."""


@dataclasses.dataclass(frozen=True)
class Operator:
    """A linear map from (d,) to (d,), known only by its products.

    Attributes:
        matvec: The product v -> A v; pure, so that two calls give identical results.
        size: The dimension d.
        dtype: The dtype of the vectors, which also sets the precision of the products.
    """

    matvec: Callable[[Float[Array, " d"]], Float[Array, " d"]]
    size: int
    dtype: Any


@jax.default_matmul_precision("highest")
def hessian(
    loss: Callable[[PyTree[Float[Array, "..."]]], Float[Array, ""]],
    params: PyTree[Float[Array, "..."]],
) -> Operator:
    """Hessian of a loss at `params`, over the raveled parameters.

    The gradient is linearised once, here, and every product replays only the linear part. Call this
    inside the jitted function that uses the operator (`params` and data stay arguments of it), and
    outside any loop over products.

    Matrix products run at the highest precision: the float32 default of recent GPUs is TF32, whose
    relative error of 1e-3 would be read as curvature.

    Args:
        loss: Scalar loss; batch and randomness are closed over, so that the products agree.
        params: Point of differentiation, any pytree of floating arrays.

    Returns:
        The operator of size d = total number of entries, in the common dtype of `params`.
    """
    flat, unravel = ravel_pytree(params)
    gradient = jax.grad(lambda theta: loss(unravel(theta)))
    _, product = jax.linearize(gradient, flat)
    matvec = jax.default_matmul_precision("highest")(product)
    return Operator(matvec=matvec, size=flat.size, dtype=flat.dtype)


def symmetry_defect(operator: Operator, key: Key[Array, ""]) -> Float[Array, ""]:
    """Relative asymmetry |u'Av - v'Au| / (|Av||u| + |Au||v|) for two random vectors.

    Costs two products. Free of the operator's scale, at most 1, and 0 for the zero operator.

    Args:
        operator: The map to test.
        key: Key of the two Gaussian vectors.

    Returns:
        The defect, in the operator's dtype. NaN if a product is NaN.
    """
    key_u, key_v = jax.random.split(key)
    u = _unit(jax.random.normal(key_u, (operator.size,), operator.dtype))
    v = _unit(jax.random.normal(key_v, (operator.size,), operator.dtype))
    a_u, a_v = operator.matvec(u), operator.matvec(v)
    scale = jnp.maximum(jnp.max(jnp.abs(a_u)), jnp.max(jnp.abs(a_v)))
    scale = jnp.where(scale == 0, 1, scale)  # squares of tiny products would underflow
    a_u, a_v = a_u / scale, a_v / scale
    with jax.default_matmul_precision("highest"):
        difference = jnp.abs(u @ a_v - v @ a_u)
    total = jnp.linalg.norm(a_u) + jnp.linalg.norm(a_v)
    return difference / jnp.where(total == 0, 1, total)


def require_symmetric(defect: float | Float[Array, ""], dtype: DTypeLike) -> None:
    """Refuse an operator whose measured symmetry defect is more than rounding.

    A NaN defect passes: it measured no asymmetry, and the methods return NaN, not converged.

    Args:
        defect: Result of `symmetry_defect`, concrete (call this outside jit).
        dtype: Dtype of the products.

    Raises:
        NonSymmetricOperatorError: If the defect exceeds `SYMMETRY_LIMIT` eps.
    """
    limit = SYMMETRY_LIMIT * float(np.finfo(dtype).eps)
    if float(defect) > limit:
        raise NonSymmetricOperatorError(
            f"symmetry defect {float(defect):.1e} exceeds {limit:.1e} "
            f"({SYMMETRY_LIMIT:g} eps of {np.dtype(dtype).name}): symmetric Lanczos would return "
            "numbers that are not eigenvalues of this operator"
        )


def _unit(vector: Float[Array, " d"]) -> Float[Array, " d"]:
    return vector / jnp.linalg.norm(vector)
