"""One inner update U: (x, η, batch) → x', with x = (parameters, optimiser state).

There is one definition of it, for training, meta-gradients, operators and the public calls.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from hessdiag.inner.extras import Optimiser, with_extras
from hessdiag.inner.finite_roots import with_finite_roots

Eta = Float[Array, " m"]
"""The unconstrained meta-parameters as a flat vector."""

Rate = int | float | jax.Array | np.generic
Schedule = Callable[..., Any]
"""Inner step count → α."""


class InnerState(NamedTuple):
    """What an inner update maps to its successor."""

    params: Any  # θ
    opt_state: optax.OptState  # s
    step: Int[Array, ""] | int = 0  # inner updates so far; the learning rate reads it


@dataclass(frozen=True)
class InnerUpdate:
    """One inner update: gradient, clipping, optimiser.

    Roots in the optimiser and the clipping have slope zero at zero (`with_finite_roots`): else
    Adam's derivative were NaN for every parameter whose gradient was always zero. Values stay
    those of optax to the last bit.

    Attributes:
        loss: (params, η, batch) → L, a scalar; η a flat vector (m,), or None where there is none.
        optimiser: any optax transformation that returns the change of the parameters, its learning
            rate included. Those that read `value`, `grad` or `value_fn` get them, and derivatives
            follow.
        learning_rate: inner step count → α, or a number: what the operator I − α∇²L uses; None if
            there is none to speak of.
        clip: gradient → gradient, what comes before the optimiser; None for none.
        semi_gradient: (params, η, batch) → the gradient as a map of θ that moves its bootstrap
            targets too; None where the loss has none.
        optimiser_of: η → the optimiser, where η is in the update itself, as in a learned optimiser;
            `optimiser` is then one of them, for its first state. None where it is not.
        precision: of matrix products where the update is differentiated, as
            `jax.default_matmul_precision` takes it; CPUs know the highest alone.
    """

    loss: Callable[[Any, Any, Any], Float[Array, ""]]
    optimiser: Optimiser
    learning_rate: Schedule | Rate | None = None
    clip: Callable[[Any], Any] | None = None
    semi_gradient: Callable[[Any, Any, Any], Any] | None = None
    optimiser_of: Callable[[Eta], Optimiser] | None = None
    precision: str = "highest"

    @property
    def precisely(self) -> Any:
        """Context and decorator in which matrix products are made at its precision."""
        return jax.default_matmul_precision(self.precision)

    def init(self, params: Any) -> InnerState:
        """The state before the first update.

        Leaves that are no floating numbers, such as keys and counters, are held constant, and the
        optimiser does not see them. Optax's lookahead takes
        ``optax.LookaheadParams.init_synced(params)``.
        """
        floats, _ = _split(params)
        return InnerState(params, self.optimiser.init(floats), jnp.zeros((), jnp.int32))

    def rate(self, step: Int[Array, ""] | int) -> Float[Array, ""] | None:
        """α at a step; None if there is none."""
        if self.learning_rate is None:
            return None
        alpha = self.learning_rate(step) if callable(self.learning_rate) else self.learning_rate
        return jnp.asarray(alpha)

    def gradient(self, params: Any, eta: Eta | None, batch: Any) -> Any:
        """∇_θ L(θ, η, batch)."""
        return jax.grad(self.loss)(params, eta, batch)

    def clipped(self, gradient: Any) -> Any:
        """The gradient as the optimiser gets it."""
        return gradient if self.clip is None else with_finite_roots(self.clip)(gradient)

    def change(
        self, state: InnerState, clipped: Any, eta: Eta | None = None, batch: Any = None
    ) -> tuple[Any, optax.OptState]:
        """(θ' − θ, s'), given the clipped gradient; optimisers that read the loss get it."""
        learned = None if eta is None else self.optimiser_of
        optimiser = self.optimiser if learned is None or eta is None else learned(eta)
        update = with_extras(
            optimiser,
            lambda params: self.loss(params, eta, batch),
            is_clipped=self.clip is not None,
        )
        return with_finite_roots(update)(clipped, state.opt_state, state.params)

    def apply(
        self, state: InnerState, gradient: Any, eta: Eta | None = None, batch: Any = None
    ) -> InnerState:
        """The update, given the gradient at the batch."""
        change, opt_state = self.change(state, self.clipped(gradient), eta, batch)
        return InnerState(optax.apply_updates(state.params, change), opt_state, state.step + 1)

    def __call__(self, state: InnerState, batch: Any, eta: Eta | None = None) -> InnerState:
        """The state after one update; differentiable."""
        state = InnerState(*state)
        floats, whole = _split(state.params)
        if whole is not None:
            free = replace(self, loss=lambda params, *rest: self.loss(whole(params), *rest))
            after = free(state._replace(params=floats), batch, eta)
            return after._replace(params=whole(after.params))
        return self.apply(state, self.gradient(state.params, eta, batch), eta, batch)


def OptaxUpdate(
    loss: Callable[[Any, Any], Float[Array, ""]],
    optimiser: Optimiser,
    learning_rate: Schedule | Rate | None = None,
    clip: Callable[[Any], Any] | None = None,
) -> InnerUpdate:
    """One update of an inner loop without meta-parameters.

    Args:
        loss: (params, batch) → scalar. It must give the same value each time: fix dropout and data
            order before.
        optimiser: any optax transformation that returns the change of the parameters, its learning
            rate included, such as `optax.adam(1e-3)`.
        learning_rate: step index, counted from the first of the measured steps, → α, or a number:
            only for the operator I − α∇²L.
        clip: gradient → gradient, before the optimiser; None where `optimiser` clips itself, too.

    Raises:
        TypeError: One of these is something else.
    """
    _require_callable("loss", loss, "a function (params, batch) → scalar")
    if not isinstance(optimiser, Optimiser):
        raise TypeError(
            f"optimiser: {_shown(optimiser)}; allowed: an optax transformation, such as "
            "optax.adam(1e-3)"
        )
    is_number = isinstance(learning_rate, Rate)
    if learning_rate is not None and not is_number:
        _require_callable("learning_rate", learning_rate, "a number, or step index → number")
    if clip is not None:
        _require_callable(
            "clip",
            clip,
            "a function gradient → gradient, or optax's in the "
            "optimiser: optax.chain(clip, optimiser)",
        )
    return InnerUpdate(LossWithoutEta(loss), optimiser, learning_rate, clip)


def _require_callable(name: str, value: Any, allowed: str) -> None:
    if not callable(value):
        raise TypeError(f"{name}: {_shown(value)}; allowed: {allowed}")


def _shown(value: Any) -> str:
    is_short = isinstance(value, str | int | float | None)
    return repr(value) if is_short else f"a {type(value).__name__}"


def _split(params: Any) -> tuple[Any, Callable[[Any], Any] | None]:
    """Floating leaves, None for each of the others; and the way back, where there are others."""
    leaves, structure = jax.tree.flatten(params)
    moves = [isinstance(leaf, float) or _is_floating(leaf) for leaf in leaves]
    if all(moves):
        return params, None
    pairs = list(zip(leaves, moves, strict=True))

    def whole(floats: Any) -> Any:
        given = iter(jax.tree.leaves(floats))
        return structure.unflatten([next(given) if move else leaf for leaf, move in pairs])

    return structure.unflatten([leaf if move else None for leaf, move in pairs]), whole


def _is_floating(leaf: Any) -> bool:
    return jnp.issubdtype(getattr(leaf, "dtype", int), jnp.floating)


@dataclass(frozen=True)
class LossWithoutEta:
    """A loss (params, batch) → scalar as inner updates call it; equal where the losses are."""

    loss: Callable[[Any, Any], Float[Array, ""]]

    def __call__(self, params: Any, eta: Any, batch: Any) -> Float[Array, ""]:
        """L(θ, batch); of optax's lookahead, at the fast parameters."""
        del eta
        fast = params.fast if isinstance(params, optax.LookaheadParams) else params
        return self.loss(fast, batch)
