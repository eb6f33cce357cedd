"""The inner update as spectral analysis sees it: one linearised inner step."""

from typing import Any

from hessdiag.inner.step import InnerStep, inner_step
from hessdiag.inner.update import Eta, InnerState, InnerUpdate


def linearised_step(
    update: InnerUpdate,
    state: InnerState,
    eta: Eta,
    trajectories: Any,
    *,
    semi_gradient: bool = False,
) -> InnerStep:
    """The operators of the very update that training and meta-gradients use.

    Args:
        update: the inner update.
        state: x^(j).
        eta: meta-parameters.
        trajectories: τ^(j).
        semi_gradient: linearise the map with moving bootstrap targets, too.
    """

    def rule(clipped, opt_state, params):
        return update.displacement(InnerState(params, opt_state, state.step), clipped)

    return inner_step(
        lambda params: update.loss(params, eta, trajectories),
        rule,
        state.params,
        state.opt_state,
        clip=update.clip,
        learning_rate=update.learning_rate(state.step),
        semi_gradient=(
            (lambda params: update.semi_gradient(params, eta, trajectories))
            if semi_gradient
            else None
        ),
    )
