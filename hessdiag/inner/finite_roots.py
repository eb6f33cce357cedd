"""Roots with a finite slope at zero, inside any function.

The slope of sqrt(v) is infinite at v = 0, and infinity times zero is NaN: so is the derivative of
Adam's update for every parameter whose gradient was zero so far, and that of a norm at zero.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Primitive, jaxpr_as_fun
from jax.extend.core.primitives import cbrt_p, sqrt_p
from jaxtyping import Array, PyTree

_SLOPES: dict[Primitive, Callable[[Array], Array]] = {
    sqrt_p: lambda root: 0.5 / root,
    cbrt_p: lambda root: (1 / 3) * jax.lax.integer_pow(root, -2),
}
"""Square and cube root -> the slope, as a function of the root."""


def with_finite_roots(function: Callable[..., PyTree[Array]]) -> Callable[..., PyTree[Array]]:
    """The same function, but its square and cube roots have slope zero where they are zero.

    In an optimiser that is the right limit: what it divides by a root of past squares, such as
    Adam's first moment, vanishes faster than the root. Values stay the same to the last bit, and so
    do derivatives wherever no root is zero. Powers such as |v|^0.4 keep their infinite slope.

    Args:
        function: Of pytrees of arrays; traced at every call.

    Returns:
        The function. Roots inside jit, cond, scan and while loops are replaced, too; a function
        with a derivative rule of its own keeps that rule.
    """

    def finite(*operands: PyTree[Array]) -> PyTree[Array]:
        program, shapes = jax.make_jaxpr(function, return_shape=True)(*operands)
        leaves = jaxpr_as_fun(_rewritten(program))(*jax.tree.leaves(operands))
        return jax.tree.unflatten(jax.tree.structure(shapes), leaves)

    return finite


def _rewritten(value: Any) -> Any:
    """A program with its roots replaced; what holds no program, as it is."""
    if isinstance(value, Jaxpr):
        return value.replace(eqns=[_equation(equation) for equation in value.eqns])
    if type(value) is tuple:  # such as the branches of a cond
        return tuple(_rewritten(entry) for entry in value)
    return value


def _equation(equation: JaxprEqn) -> JaxprEqn:
    if equation.primitive in _SLOPES:
        root = _finite_root(equation.primitive, equation.params)
        (call,) = jax.make_jaxpr(root)(equation.invars[0].aval).jaxpr.eqns
        return equation.replace(primitive=call.primitive, params=call.params)
    params = {name: _rewritten(value) for name, value in equation.params.items()}
    return equation.replace(params=params)


def _finite_root(primitive: Primitive, params: dict[str, Any]) -> Callable[[Array], Array]:
    @jax.custom_jvp
    def root(x):
        return primitive.bind(x, **params)

    @root.defjvp
    def _(primals, tangents):
        value = root(*primals)
        zero = value == 0
        slope = jnp.where(zero, 0, _SLOPES[primitive](jnp.where(zero, 1, value)))
        return value, tangents[0] * slope

    return root
