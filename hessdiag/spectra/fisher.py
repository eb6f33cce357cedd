"""The empirical Fisher matrix: second moment of the gradients of single examples."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hessdiag.spectra.gauss_newton import gauss_newton
from hessdiag.spectra.operators import Operator


def empirical_fisher(
    losses: Callable[[PyTree[Float[Array, "..."]]], Float[Array, " N"]],
    params: PyTree[Float[Array, "..."]],
) -> Operator:
    """Empirical Fisher matrix (1 / N) sum_i g_i g_i', with g_i the gradient of example i's loss.

    The g_i are the rows of the Jacobian G of the vector of losses, and this is the Gauss-Newton
    matrix of half their mean square: a product is G'(G v) / N, without any g_i in memory. The
    gradients are not centred. At labels drawn from the model's own distribution the expectation is
    the Fisher information; at the labels of a dataset it is another matrix, which need not be near
    any curvature.

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
    shape = jax.eval_shape(losses, params).shape
    if len(shape) != 1 or shape[0] == 0:
        raise ValueError(f"one loss per example is needed, a vector (N,), got shape {shape}")
    return gauss_newton(losses, lambda values: jnp.sum(values**2) / (2 * shape[0]), params)
