"""One update of an inner loop by an optax optimiser."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from hessdiag.inner import with_finite_roots


@dataclass(frozen=True)
class OptaxUpdate:
    """One update of an inner loop.

    Roots in the optimiser and the clipping have slope zero where they are zero
    (`with_finite_roots`): otherwise Adam's derivative were NaN for every parameter whose
    gradient was always zero.

    Attributes:
        loss: (params, batch) -> scalar. It must give the same value each time: fix dropout and data
            order before.
        optimiser: Any optax transformation that returns the change of the parameters, its learning
            rate included, such as `optax.adam(1e-3)`.
        learning_rate: Step index, counted from the first of the measured steps, -> alpha, or a
            number: only for the operator I - alpha Hessian.
        clip: Gradient -> gradient, what comes before the optimiser; None for none, or where
            clipping is part of `optimiser`.
    """

    loss: Callable[[PyTree, Any], Float[Array, ""]]
    optimiser: optax.GradientTransformation
    learning_rate: Callable[[Array], Array] | float | None = None
    clip: Callable[[PyTree], PyTree] | None = None

    def init(self, params: PyTree) -> tuple[PyTree, Any]:
        """The state (parameters, optimiser state) before the first update."""
        return params, self.optimiser.init(params)

    def __call__(self, state: tuple[PyTree, Any], batch: Any) -> tuple[PyTree, Any]:
        """The state after one update; differentiable, for meta-gradients."""
        params, opt_state = state
        gradient = jax.grad(self.loss)(params, batch)
        if self.clip is not None:
            gradient = with_finite_roots(self.clip)(gradient)
        rule = with_finite_roots(self.optimiser.update)
        change, opt_state = rule(gradient, opt_state, params)
        return optax.apply_updates(params, change), opt_state

    def rate(self, step: Array) -> Array | None:
        """Alpha at a step; None if there is none."""
        if self.learning_rate is None:
            return None
        rate = self.learning_rate(step) if callable(self.learning_rate) else self.learning_rate
        return jnp.asarray(rate)
