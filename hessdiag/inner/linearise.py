"""One inner update, linearised where training makes it."""

from typing import Any

import jax
import jax.numpy as jnp

from hessdiag.errors import UsageError
from hessdiag.inner.extras import reads
from hessdiag.inner.finite_roots import with_finite_roots
from hessdiag.inner.memory import held_memory, moments_of
from hessdiag.inner.step import InnerStep
from hessdiag.inner.update import Eta, InnerState, InnerUpdate
from hessdiag.spectra import Space, linearise


def linearised_step(
    update: InnerUpdate,
    state: InnerState,
    batch: Any,
    eta: Eta | None = None,
    *,
    with_eta: bool = False,
    semi_gradient: bool = False,
) -> InnerStep:
    """The derivatives of the very update that training and meta-gradients use.

    Call it inside the jitted function that uses the step, outside any loop over products.

    Args:
        update: the inner update.
        state: x^(j).
        batch: τ^(j).
        eta: meta-parameters, a flat vector (m,).
        with_eta: linearise in η as well: meta-gradients need it, operators do not.
        semi_gradient: linearise the map with moving bootstrap targets, too.
    """
    space = Space.like(state.params)
    theta = space.ravel(state.params)
    moving = eta if with_eta else jnp.zeros(0, space.dtype)

    def loss(theta, moved):
        return update.loss(space.unravel(theta), moved if with_eta else eta, batch)

    def gradients(theta):
        value, (gradient, to_eta) = jax.value_and_grad(loss, argnums=(0, 1))(theta, moving)
        return gradient, to_eta, value

    with update.precisely:
        (gradient, _, value), products = linearise(gradients, theta)
    clipping = with_finite_roots(lambda g: space.ravel(update.clipped(space.unravel(g))))
    clipped, clip = linearise(clipping, gradient)
    memory, memory_space, merged = held_memory(state.opt_state, space.dtype)

    def respond(theta, memory, clipped, eta=eta):
        before = InnerState(space.unravel(theta), merged(memory), state.step)
        change, after = update.change(before, space.unravel(clipped), eta, batch)
        return space.ravel(change), held_memory(after, space.dtype)[0]

    with update.precisely:
        read = reads(update.optimiser, state.params, state.opt_state, state.params)
        response = _response(with_finite_roots(respond), theta, memory, clipped, read=read)
    of_eta = with_finite_roots(lambda eta: respond(theta, memory, clipped, eta))
    return InnerStep(
        learning_rate=None if update.learning_rate is None else update.rate(state.step),
        loss=value,
        gradient=gradient,
        clip_ratio=_ratio(clipped, gradient),
        _products=products,
        _clip=clip,
        _respond=response,
        _move_targets=_moving_targets(update, space, theta, eta, batch) if semi_gradient else None,
        _by_eta=_response_to_eta(update, of_eta, eta, read=read),
        params=space,
        memory=memory_space,
        moments=moments_of(state.opt_state),
        precision=update.precision,
    )


def _ratio(clipped, gradient):
    """What clipping multiplies the length of the gradient by."""
    length = jnp.vdot(gradient, gradient)
    return jnp.where(length > 0, jnp.vdot(clipped, gradient) / length, 1)


def _response(respond, *at, read: frozenset[str]):
    """The derivative of an optimiser's response, which must have a transpose."""
    if "value_fn" not in read:
        return linearise(respond, *at)[1]
    try:
        change, response = linearise(respond, *at)
        jax.eval_shape(jax.linear_transpose(response, *at), change)
    except Exception as error:  # JAX has many kinds
        raise UsageError(
            "optimiser: it searches by value_fn, in a loop without a transposed derivative; "
            "allowed: optimisers without a line search, such as optax.lbfgs(1e-2, linesearch=None)"
        ) from error
    return response


def _response_to_eta(update: InnerUpdate, respond, eta: Eta | None, *, read: frozenset[str]):
    """The derivative of an optimiser's response in η; None where η is not in it."""
    is_learned = eta is not None and (update.optimiser_of is not None or bool(read))
    return linearise(respond, eta)[1] if is_learned else None


def _moving_targets(update: InnerUpdate, space: Space, theta, eta, batch):
    """The derivative of the semi-gradient, its targets moving."""
    assert update.semi_gradient is not None
    field = update.semi_gradient
    with update.precisely:
        return linearise(lambda p: space.ravel(field(space.unravel(p), eta, batch)), theta)[1]
