"""The generalised Gauss-Newton matrix: the curvature of a loss through a model made linear."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, PyTree

from hessdiag.spectra.curvature import symmetric_on
from hessdiag.spectra.linearise import linearise
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Space


@jax.default_matmul_precision("highest")
def gauss_newton(
    model: Callable[[PyTree[Float[Array, "..."]]], PyTree[Float[Array, "..."]]],
    loss: Callable[[PyTree[Float[Array, "..."]]], Float[Array, ""]],
    params: PyTree[Float[Array, "..."]],
) -> Operator:
    """Generalised Gauss-Newton matrix J' (d² loss / d outputs²) J of `loss(model(params))`.

    It is the Hessian without the curvature of the model: equal to it for a model that is linear in
    its parameters, and positive semidefinite for a loss that is convex in the outputs. For
    a negative log-likelihood whose outputs are natural parameters, such as cross-entropy of logits,
    it is the Fisher information.

    Model and loss are linearised once, here; every product is one jvp and one vjp of the model at
    the highest matrix precision. Call this under the same jit as the products, as `hessian`.

    Args:
        model: theta -> outputs; the inputs are closed over.
        loss: Outputs -> scalar; the labels are closed over.
        params: Point of differentiation, any pytree of floating arrays.

    Returns:
        The symmetric operator of size d, in the common dtype of `params`.

    References:
        Schraudolph 2002, Neural Computation 14. Martens 2020, JMLR 21(146).
    """
    space = Space.like(params)
    flat = space.ravel(params)
    outputs, forward = linearise(lambda theta: model(space.unravel(theta)), flat)
    _, curve = linearise(jax.grad(loss), outputs)
    backward = jax.linear_transpose(forward, flat)

    def product(v):
        return backward(curve(forward(v)))[0]

    return symmetric_on(space, product)
