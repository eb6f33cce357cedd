"""Where unrolls start."""

from typing import Any, NamedTuple

from hessdiag.inner.update import Eta, InnerState


class Start(NamedTuple):
    """What training knows at iteration t, before it draws anything."""

    inner: InnerState  # x_t
    eta: Eta  # η_t, the unconstrained meta-parameters, frozen through an unroll
    env_state: Any  # the environments' state, which every rollout continues
