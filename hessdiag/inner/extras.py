"""What some optimisers want beside the gradient: the loss, its value, its gradient."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.extend.core import Var

from hessdiag.errors import UsageError

Optimiser = optax.GradientTransformation | optax.MultiSteps
"""Optax's accumulation of gradients is no transformation, but has the same methods."""

EXTRAS = ("value", "grad", "value_fn")
"""What is passed to those that read it, by optax's names."""

Update = Callable[[Any, Any, Any], tuple[Any, Any]]
"""(gradient, state, params) -> (change of the params, state)."""


def with_extras(optimiser: Optimiser, loss: Callable[[Any], Any], *, is_clipped: bool) -> Update:
    """The update of an optimiser, which gets of `EXTRAS` what it reads.

    Args:
        optimiser: any optax transformation.
        loss: params -> L, at the batch of the update.
        is_clipped: whether the gradient that comes is not the loss's own.

    Returns:
        The update. It raises a UsageError, in one line, where the optimiser fails, as one does that
        reads something else.
    """

    def update(gradient: Any, state: Any, params: Any) -> tuple[Any, Any]:
        extras, read = {}, reads(optimiser, gradient, state, params)
        if "value" in read:
            extras["value"] = loss(params)
        if "grad" in read:
            extras["grad"] = jax.grad(loss)(params) if is_clipped else gradient
        if "value_fn" in read:
            extras["value_fn"] = loss
        missing = {name: None for name in EXTRAS if read and name not in extras}
        gradient = _of_fast(gradient, params)
        return optimiser.update(gradient, state, params, **extras, **missing)  # pyright: ignore

    return update


def reads(optimiser: Optimiser, gradient: Any, state: Any, params: Any) -> frozenset[str]:
    """Which of `EXTRAS` an optimiser reads.

    Raises:
        UsageError: its update fails with them and without.
    """
    takes_more = isinstance(optimiser, optax.GradientTransformationExtraArgs | optax.MultiSteps)
    if not takes_more:
        return frozenset()
    at = (_of_fast(gradient, params), state, params)
    try:
        return _reads(optimiser, at)
    except Exception as error:  # whatever a transformation may raise
        if _runs(optimiser, at):
            return frozenset()
        said = " ".join(str(error).split())[:200]
        raise UsageError(
            f"optimiser: its update failed ({type(error).__name__}: {said}); allowed: optax "
            "transformations that read no more than the gradient, their state, the parameters, "
            f"{', '.join(EXTRAS)}"
        ) from error


def _reads(optimiser: Optimiser, at: tuple[Any, Any, Any]) -> frozenset[str]:
    calls = []

    def value_fn(params: Any) -> Any:
        calls.append("value_fn")
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(params))

    def update(at: tuple[Any, Any, Any], value: Any, grad: Any) -> Any:
        return optimiser.update(*at, value=value, grad=grad, value_fn=value_fn)  # pyright: ignore

    value, grad = jax.eval_shape(value_fn, at[2]), at[0]
    calls.clear()
    program = jax.make_jaxpr(update)(at, value, grad).jaxpr
    operands = [*program.outvars, *(var for line in program.eqns for var in line.invars)]
    used = {var for var in operands if isinstance(var, Var)}
    first = len(program.invars) - len(jax.tree.leaves(grad))
    by_name = {"value": program.invars[first - 1 : first], "grad": program.invars[first:]}
    return frozenset(calls) | {name for name, given in by_name.items() if used & set(given)}


def _runs(optimiser: Optimiser, at: tuple[Any, Any, Any]) -> bool:
    try:
        jax.eval_shape(optimiser.update, *at)
    except Exception:  # whatever it may raise
        return False
    return True


def _of_fast(gradient: Any, params: Any) -> Any:
    """Optax's lookahead has two sets of parameters, and takes the gradient in the fast ones."""
    return gradient.fast if isinstance(params, optax.LookaheadParams) else gradient
