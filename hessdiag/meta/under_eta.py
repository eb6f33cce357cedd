"""The outer loss as a function of η: unrolls under another η, on a sample's own random numbers."""

from typing import Literal

from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import Eta
from hessdiag.meta import streams
from hessdiag.meta.objectives import Validation
from hessdiag.meta.system import Start, System, again
from hessdiag.meta.unroll import unroll


def outer_losses(
    system: System,
    start: Start,
    eta: Eta,
    key: PRNGKeyArray,
    *,
    n: int,
    at: Literal["all", "last"] = "all",
) -> Float[Array, " i"]:
    """The outer losses after 1 … n inner updates under η, or after n alone.

    Args:
        system: the problem and its inner update.
        start: of the sample's unroll; where it depends on η it is made again.
        eta: in the place of the start's own.
        key: of the sample: all randomness is the same under every η.
        n: number of inner updates.
        at: where the outer loss is evaluated.
    """
    if start.from_eta is not None:
        start = again(system, eta, streams.start(key))
    drawn, moved = streams.sources(key, n), start._replace(eta=eta)
    points = unroll(system, moved, drawn, objective=Validation(), at=at)
    assert points.outer is not None
    return points.outer.value[:, 0]
