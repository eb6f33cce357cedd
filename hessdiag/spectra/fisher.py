"""The empirical Fisher matrix: second moment of the gradients of single examples."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, PyTree

from hessdiag.spectra.curvature import symmetric_on
from hessdiag.spectra.linearise import linearise
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Space


@jax.default_matmul_precision("highest")
def empirical_fisher(
    losses: Callable[[PyTree[Float[Array, "..."]]], Float[Array, " N"]],
    params: PyTree[Float[Array, "..."]],
) -> Operator:
    """Empirical Fisher matrix (1 / N) sum_i g_i g_i', with g_i the gradient of example i's loss.

    The g_i are the rows of the Jacobian G of the vector of losses, so that a product is
    G'(G v) / N: one jvp and one vjp, without any g_i in memory. The gradients are not centred. At
    labels drawn from the model's own distribution the expectation is the Fisher information; at the
    labels of a dataset it is another matrix, which need not be near any curvature.

    Args:
        losses: theta -> the losses of the N examples, not their mean; the data are closed over.
        params: Point of differentiation, any pytree of floating arrays.

    Returns:
        The symmetric positive semidefinite operator of rank at most N, in the common dtype of
        `params`.

    Raises:
        ValueError: If `losses` does not give a vector of at least one entry.

    References:
        Kunstner, Balles and Hennig 2019, arXiv:1905.12558.
    """
    space = Space.like(params)
    flat = space.ravel(params)
    values, forward = linearise(lambda theta: losses(space.unravel(theta)), flat)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"one loss per example is needed, a vector (N,), got shape {values.shape}")
    backward = jax.linear_transpose(forward, flat)

    def product(v):
        return backward(forward(v) / values.size)[0]

    return symmetric_on(space, product)
