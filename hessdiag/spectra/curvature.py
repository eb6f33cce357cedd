"""Derivatives that are linear maps, made once: the curvature of a loss as operators on parameters.

An operator linearises once, and every product replays the linear part alone, at the highest matrix
precision: the float32 default of recent GPUs is TF32, whose relative error of 1e-3 would be read as
curvature. Call it inside the jitted function that uses the operator (parameters and data stay
arguments of it), and outside any loop over products.

All have the dtype of `params`, any pytree of floating arrays, and size d, its number of entries.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, subjaxprs
from jax.extend.core.primitives import broadcast_in_dim_p, remat_p
from jaxtyping import Array, Float, Key, PyTree

from hessdiag.spectra.operators import Operator, Product
from hessdiag.spectra.rounding import moved, rounding_unit
from hessdiag.spectra.spaces import Scalar, Space, Tree

_precisely = jax.default_matmul_precision("highest")


def linearise(function: Callable[..., Any], *at: PyTree[Array]) -> tuple[Any, Callable[..., Any]]:
    """Value and derivative of a function, as `jax.linearize`, which remembers less.

    A linear map keeps whatever its products read: also the zeros of every masked gradient (of ReLU,
    max-pooling, `where`), each an array as large as the activations. Here broadcasts are made
    again by each product: the compiler fuses most into what reads them. In a convolutional network
    that is nearly half of the memory, and products are faster (`python -m benchmarks.spectra`).

    The derivative is a pytree of what it remembers. The function is traced twice; where it
    recomputes parts of itself, by `jax.checkpoint`, it decides alone what is kept. So does one
    with complex numbers inside, of which JAX recomputes none.
    """
    program = jax.make_jaxpr(function)(*at).jaxpr
    if not (_recomputes(program) or _is_complex(program)):
        function = jax.checkpoint(function, prevent_cse=False, policy=_is_kept)
    return jax.linearize(function, *at)


@_precisely
def hessian(loss: Callable[[Tree], Scalar], params: Tree) -> Operator:
    """Hessian of a loss at `params`.

    What `stop_gradient` freezes inside the loss stays frozen in the second derivative: the Hessian
    is that of the loss with those values as constants, and symmetric. `gradient_jacobian` is
    the other map. The loss closes over batch and randomness, so that the products agree.
    """
    space = Space.like(params)
    flat = space.ravel(params)
    gradient = jax.grad(lambda theta: loss(space.unravel(theta)))
    _, product = linearise(gradient, flat)

    @_precisely
    def perturbed(key: Key[Array, ""]) -> Product:
        nearby = moved(flat, key, rounding_unit(gradient, flat))
        return _precisely(lambda v: jax.jvp(gradient, (nearby,), (v,))[1])

    return dataclasses.replace(symmetric_on(space, product), perturbed=perturbed)


def symmetric_on(space: Space, product: Product) -> Operator:
    """A symmetric operator on flat vectors, whose products run at the highest matrix precision."""
    return Operator(_precisely(product), None, space, space, is_symmetric=True)


@_precisely
def gradient_jacobian(gradient: Callable[[Tree], Tree], params: Tree) -> Operator:
    """Jacobian dg / dtheta of a field theta -> g that need not be the gradient of a loss.

    Targets that are made by the parameters move with them. A semi-gradient ignores that, and so
    does `hessian` of a loss with `stop_gradient`; the Jacobian of the semi-gradient as a map
    of the parameters does not, and is not symmetric. Build the field with the targets as a second
    argument: `lambda p: jax.grad(loss)(p, targets_from=p)`. The operator has its transpose.
    """
    space = Space.like(params)
    flat = space.ravel(params)
    _, product = linearise(lambda theta: space.ravel(gradient(space.unravel(theta))), flat)
    transpose = jax.linear_transpose(product, flat)
    return Operator(
        _precisely(product), _precisely(lambda u: transpose(u)[0]), domain=space, codomain=space
    )


@_precisely
def gauss_newton(
    model: Callable[[Tree], Tree], loss: Callable[[Tree], Scalar], params: Tree
) -> Operator:
    """Generalised Gauss-Newton matrix J' (d² loss / d outputs²) J of `loss(model(params))`.

    It is the Hessian without the curvature of the model: equal to it for a model that is linear in
    its parameters, and positive semidefinite for a loss that is convex in the outputs. For
    a negative log-likelihood whose outputs are natural parameters, such as cross-entropy of logits,
    it is the Fisher information. A product is one jvp and one vjp of the model, theta -> outputs,
    which closes over the inputs, as the loss of the outputs does over the labels.

    References:
        Schraudolph 2002, Neural Computation 14. Martens 2020, JMLR 21(146).
    """
    space = Space.like(params)
    flat = space.ravel(params)

    def of_flat(theta: Float[Array, " d"]) -> Tree:
        return model(space.unravel(theta))

    @_precisely
    def at(theta: Float[Array, " d"]) -> Product:
        outputs, forward = linearise(of_flat, theta)
        _, curve = linearise(jax.grad(loss), outputs)
        backward = jax.linear_transpose(forward, theta)
        return _precisely(lambda v: backward(curve(forward(v)))[0])

    def perturbed(key: Key[Array, ""]) -> Product:
        unit = rounding_unit(lambda theta: jax.grad(loss)(of_flat(theta)), flat)
        return at(moved(flat, key, unit))

    return dataclasses.replace(symmetric_on(space, at(flat)), perturbed=perturbed)


def empirical_fisher(losses: Callable[[Tree], Float[Array, " N"]], params: Tree) -> Operator:
    """Empirical Fisher matrix (1 / N) sum_i g_i g_i', with g_i the gradient of example i's loss.

    The g_i are the rows of the Jacobian G of the vector of losses, and this is the Gauss-Newton
    matrix of half their mean square, of rank at most N: a product is G'(G v) / N, without any g_i
    in memory. The gradients are not centred. At labels drawn from the model's own distribution the
    expectation is the Fisher information; at the labels of a dataset it is another matrix, which
    need not be near any curvature.

    Raises:
        ValueError: If `losses`, which closes over the data, gives anything but one loss for each of
            at least one example.

    References:
        Kunstner, Balles and Hennig 2019, arXiv:1905.12558.
    """
    shape = jax.eval_shape(losses, params).shape
    if len(shape) != 1 or shape[0] == 0:
        raise ValueError(f"one loss per example is needed, a vector (N,), got shape {shape}")
    return gauss_newton(losses, lambda values: jnp.sum(values**2) / (2 * shape[0]), params)


def _recomputes(program: Jaxpr) -> bool:
    """Whether some part has a policy of its own, which the one around it would overrule."""
    return any(equation.primitive is remat_p for equation in program.eqns) or any(
        map(_recomputes, subjaxprs(program))
    )


def _is_complex(program: Jaxpr) -> bool:
    """Whether there are complex numbers in some part."""
    results = (variable.aval for equation in program.eqns for variable in equation.outvars)
    return any(
        jnp.issubdtype(getattr(aval, "dtype", bool), jnp.complexfloating) for aval in results
    ) or any(map(_is_complex, subjaxprs(program)))


def _is_kept(primitive: Any, *_: Any, **__: Any) -> bool:
    return primitive is not broadcast_in_dim_p
