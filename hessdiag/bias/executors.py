"""Where points of a study of bias are measured: here, or in processes with own cores."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import cache
from typing import Any

import xarray as xr

from hessdiag.bias.measure import Measurer
from hessdiag.bias.plan import Plan, Point, Sweep
from hessdiag.study.elsewhere import SECONDS_APART
from hessdiag.study.processes import ended, pool
from hessdiag.train.interrupt import StopRequest
from hessdiag.train.self_test import set_up_compilation

Executor = Callable[[Plan, Sequence[Point], StopRequest], Iterator[tuple[Point, xr.Dataset]]]
"""A plan, points of it and what asks to stop → each point with its measurements, as they end."""


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


@contextlib.contextmanager
def in_processes(number: int, cores: int) -> Iterator[Executor]:
    """So many processes, of so many cores each, while they are there; none: `here`."""
    if not number:
        yield here
        return
    with pool(number, cores) as processes:

        def execute(plan: Plan, points: Sequence[Point], stop: StopRequest):
            return _as_they_end(processes, number, plan, points, stop)

        yield execute


def _as_they_end(
    processes: ProcessPoolExecutor,
    number: int,
    plan: Plan,
    points: Sequence[Point],
    stop: StopRequest,
) -> Iterator[tuple[Point, xr.Dataset]]:
    """As `here` does; what has begun when a stop is requested is measured.

    Raises:
        OSError: a process is lost.
    """
    waiting, begun = deque(points), dict[Future[Any], Point]()
    while begun or (waiting and not stop.is_made()):
        while waiting and len(begun) < number and not stop.is_made():
            point = waiting.popleft()
            begun[processes.submit(_measured, point, plan.sweep_of(point))] = point
        done, _ = wait(begun, SECONDS_APART, FIRST_COMPLETED)
        for future in done:
            yield begun.pop(future), ended(future)
    if waiting:
        stop.check()


def _measured(point: Point, sweep: Sweep) -> xr.Dataset:
    """In a process: what points have in common is compiled once."""
    set_up_compilation()
    return _measurer()(point, sweep)


@cache
def _measurer() -> Measurer:
    return Measurer()
