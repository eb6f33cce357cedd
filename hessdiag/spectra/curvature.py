"""Curvature of a loss as operators on its parameters."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, PyTree

from hessdiag.spectra.linearise import linearise
from hessdiag.spectra.operators import Operator, Product
from hessdiag.spectra.spaces import Space


@jax.default_matmul_precision("highest")
def hessian(
    loss: Callable[[PyTree[Float[Array, "..."]]], Float[Array, ""]],
    params: PyTree[Float[Array, "..."]],
) -> Operator:
    """Hessian of a loss at `params`.

    The gradient is linearised once, here, and every product replays only the linear part. Call this
    inside the jitted function that uses the operator (`params` and data stay arguments of it), and
    outside any loop over products.

    Matrix products run at the highest precision: the float32 default of recent GPUs is TF32, whose
    relative error of 1e-3 would be read as curvature.

    What `stop_gradient` freezes inside the loss stays frozen in the second derivative: the Hessian
    is that of the loss with those values as constants, and symmetric. `gradient_jacobian` is
    the other map.

    Args:
        loss: Scalar loss; batch and randomness are closed over, so that the products agree.
        params: Point of differentiation, any pytree of floating arrays.

    Returns:
        The symmetric operator of size d = total number of entries, in the common dtype of `params`.
    """
    space = Space.like(params)
    gradient = jax.grad(lambda theta: loss(space.unravel(theta)))
    _, product = linearise(gradient, space.ravel(params))
    return symmetric_on(space, product)


def symmetric_on(space: Space, product: Product) -> Operator:
    """A symmetric operator on flat vectors, whose products run at the highest matrix precision."""
    precisely = jax.default_matmul_precision("highest")(product)
    return Operator(precisely, None, space, space, is_symmetric=True)


@jax.default_matmul_precision("highest")
def gradient_jacobian(
    gradient: Callable[[PyTree[Float[Array, "..."]]], PyTree[Float[Array, "..."]]],
    params: PyTree[Float[Array, "..."]],
) -> Operator:
    """Jacobian of a gradient field that need not be a loss's gradient, such as a semi-gradient.

    Targets that are made by the parameters move with them. A semi-gradient ignores that, and so
    does `hessian` of a loss with `stop_gradient`; the Jacobian of the semi-gradient as a map
    of the parameters does not, and is not symmetric. Build the field with the targets as a second
    argument: `lambda p: jax.grad(loss)(p, targets_from=p)`.

    Args:
        gradient: theta -> g(theta), of the structure of theta.
        params: Point of differentiation.

    Returns:
        The operator dg / dtheta, with its transpose, not declared symmetric.
    """
    space = Space.like(params)
    flat = space.ravel(params)
    _, product = linearise(lambda theta: space.ravel(gradient(space.unravel(theta))), flat)
    precisely = jax.default_matmul_precision("highest")
    transpose = jax.linear_transpose(product, flat)
    return Operator(
        product=precisely(product),
        transposed=precisely(lambda u: transpose(u)[0]),
        domain=space,
        codomain=space,
    )
