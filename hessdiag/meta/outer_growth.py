"""The outer gradient against a held sensitivity: how far T alone makes the variance grow."""

import jax
from jaxtyping import Array, Float

from hessdiag.inner import FULL, Cotangent, linearised_step, pull_back
from hessdiag.meta.objectives import Validation
from hessdiag.meta.start import Start, flat_zero
from hessdiag.meta.streams import Sources
from hessdiag.meta.system import System
from hessdiag.meta.unroll import point, unroll


def outer_growth(system: System, start: Start, drawn: Sources) -> Float[Array, "n m"]:
    """T^(i) · ∂θ^(1)/∂η for i = 1 … n: the i-step meta-gradient, were the sensitivity to stay.

    Args:
        system: the problem and its inner update.
        start: x^(0), η and the environments' state.
        drawn: randomness of all rollouts, n steps of it.
    """
    points = unroll(system, start, drawn, objective=Validation())
    assert points.outer is not None
    first = point(points.trajectories, 0)
    step = linearised_step(system.update, start.inner, first, start.eta, with_eta=True)
    no_memory = flat_zero(start).memory

    def read(outer):
        return pull_back(step, Cotangent(outer, no_memory), FULL).to_eta

    return jax.lax.map(read, points.outer.to_params[:, 0])
