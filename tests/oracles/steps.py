"""Linearised inner steps of a plain loss, as tests write them down."""

from hessdiag.inner import InnerState, InnerStep, InnerUpdate, linearised_step


def inner_step(
    loss, optimiser, params, opt_state, *, clip=None, learning_rate=None, semi_gradient=None
) -> InnerStep:
    """The operators of one update of θ ↦ loss(θ) by an optax optimiser."""
    update = InnerUpdate(
        lambda params, *_: loss(params),
        optimiser,
        learning_rate,
        clip,
        None if semi_gradient is None else lambda params, *_: semi_gradient(params),
    )
    moving = semi_gradient is not None
    return linearised_step(update, InnerState(params, opt_state), (), semi_gradient=moving)
