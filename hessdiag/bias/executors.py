"""Where points of a study of bias are measured: here, or in processes with own cores."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from functools import cache

import xarray as xr

from hessdiag.bias.measure import Measurer
from hessdiag.bias.plan import Plan, Point, Sweep
from hessdiag.study.elsewhere import SECONDS_APART
from hessdiag.study.processes import pool
from hessdiag.train.interrupt import StopRequest
from hessdiag.train.self_test import set_up_compilation

Executor = Callable[[Plan, Sequence[Point], StopRequest], Iterator[tuple[Point, xr.Dataset]]]
"""A plan, points of it and what asks to stop → each point with its measurements, as they end."""


TRIES = 3  # of points whose process is lost


def here(
    plan: Plan, points: Sequence[Point], stop: StopRequest
) -> Iterator[tuple[Point, xr.Dataset]]:
    """One after the other, in this process.

    Raises:
        Interrupted: a stop was requested.
        UsageError: a reference is not exact.
    """
    measure = Measurer()
    for point in points:
        stop.check()
        yield point, measure(point, plan.sweep_of(point))


def in_processes(number: int, cores: int) -> Executor:
    """As `here` does, in so many processes of so many cores each; none: `here`.

    What has begun when a stop is requested is measured. Where a process is lost, all are begun
    anew, and what was not measured yet.

    Raises:
        OSError: that has happened too often.
    """
    if not number:
        return here

    def execute(plan: Plan, points: Sequence[Point], stop: StopRequest):
        left = deque(points)
        for _ in range(TRIES):
            with contextlib.suppress(BrokenExecutor), pool(number, cores) as processes:
                yield from _as_they_end(processes, number, plan, left, stop)
                return
        raise OSError(f"processes that measure points were killed {TRIES} times")

    return execute


def _as_they_end(
    processes: ProcessPoolExecutor, number: int, plan: Plan, left: deque[Point], stop: StopRequest
) -> Iterator[tuple[Point, xr.Dataset]]:
    """What is left, which is shortened by what has ended."""
    begun: dict[Future[xr.Dataset], Point] = {}
    try:
        while begun or (left and not stop.is_made()):
            while left and len(begun) < number and not stop.is_made():
                future = processes.submit(_measured, left[0], plan.sweep_of(left[0]))
                begun[future] = left.popleft()
            for future in wait(begun, SECONDS_APART, FIRST_COMPLETED).done:
                dataset = future.result()
                yield begun.pop(future), dataset
    finally:
        left.extendleft(begun.values())
    if left:
        stop.check()


def _measured(point: Point, sweep: Sweep) -> xr.Dataset:
    """In a process: what points have in common is compiled once."""
    set_up_compilation()
    return _measurer()(point, sweep)


@cache
def _measurer() -> Measurer:
    return Measurer()
