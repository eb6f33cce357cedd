"""How long the points of a sweep will take and how much memory, from two of them."""

from typing import NamedTuple

import jax

from hessdiag.bias.measure import chunks_of_keys, first_state, program_of
from hessdiag.bias.memory import extremes
from hessdiag.bias.plan import Point, Sweep
from hessdiag.study.timed import timed
from hessdiag.train.learner import Learner
from hessdiag.train.self_test import set_up_compilation


class Cost(NamedTuple):
    """Of drawing the estimates of a sweep; exact meta-gradients and intervals come on top."""

    seconds: float  # of all points, as if all were like the one that was calibrated
    memory_bytes: int  # of its program; the process itself needs some hundred MiB more
    slug: str  # of that point


def calibrate(sweep: Sweep) -> Cost:
    """The dearer of the first curve and the last, at the axis's end, where points are largest."""
    set_up_compilation()
    points = sweep.points()
    return max(_cost(point, points) for point in extremes(points))


def _cost(point: Point, points: list[Point]) -> Cost:
    """Time a chunk of its estimates."""
    cell = point.cells[0]
    with jax.enable_x64(True):
        chunks = chunks_of_keys(cell)
        found = timed(program_of(Learner(cell.settings)), first_state(cell), chunks[0])
    cells = sum(len(each.cells) for each in points)
    drawing = cells * len(chunks) * found.seconds
    return Cost(len(points) * found.compile_seconds + drawing, found.memory_bytes, point.slug)
