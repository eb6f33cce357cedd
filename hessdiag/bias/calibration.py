"""How long the points of a sweep will take and how much memory, from one of them."""

from typing import NamedTuple

import jax

from hessdiag.bias.measure import chunks_of_keys, first_state, program_of
from hessdiag.bias.plan import Point, Sweep
from hessdiag.study.timed import timed
from hessdiag.train.learner import Learner


class Cost(NamedTuple):
    """Of drawing the estimates of a sweep; exact meta-gradients and intervals come on top."""

    point: Point  # that was calibrated
    seconds: float  # of all points, as if all were like it
    memory_bytes: int  # of its program; the process itself needs some hundred MiB more


def calibrate(sweep: Sweep) -> Cost:
    """Time a chunk of estimates at the far end of the axis, where points are largest."""
    points = sweep.points()
    point = max(points, key=lambda each: each.at)
    cell = point.cells[0]
    with jax.enable_x64(True):
        chunks = chunks_of_keys(cell)
        found = timed(program_of(Learner(cell.settings)), first_state(cell), chunks[0])
    drawing = len(chunks) * found.seconds
    cells = sum(len(each.cells) for each in points)
    seconds = len(points) * found.compile_seconds + cells * drawing
    return Cost(point, seconds, found.memory_bytes)
