"""What a study of bias takes, found before it begins: chunks are made to fit, or it is refused."""

import dataclasses
from collections.abc import Iterator, Sequence

import jax

from hessdiag.bias.measure import program_of
from hessdiag.bias.plan import Plan, Point, Sweep
from hessdiag.probes.chunks import Tell, unheard
from hessdiag.train.learner import Learner
from hessdiag.train.memory import PROCESS, program_bytes, sizes_of
from hessdiag.train.room import Bounds, fitted, side_by_side
from hessdiag.train.settings import Settings


def extremes(points: Sequence[Point]) -> Sequence[Point]:
    """Of the first curve and the last, the point at the axis's end, where points are largest."""
    end = max(point.at for point in points)
    largest = [point for point in points if point.at == end]
    return largest if len(largest) < 2 else (largest[0], largest[-1])


def fitted_plan(plan: Plan, *, tell: Tell = unheard) -> Plan:
    """The same with `probe.chunk` as small as memory asks for, which `tell` hears of.

    Raises:
        UsageError: it does not fit: the need, what is free, and what would fit.
    """
    return dataclasses.replace(plan, sweeps=[_fitted_sweep(sweep, tell) for sweep in plan.sweeps])


def processes_that_fit(plan: Plan, wanted: int) -> int:
    """How many processes that measure points fit into memory at once."""
    largest = [point for sweep in plan.sweeps for point in extremes(sweep.points())]
    programs = [(point.cells[0].settings, 1) for point in largest]
    with jax.enable_x64(True):
        return side_by_side(programs, wanted, BOUNDS)


def _fitted_sweep(sweep: Sweep, tell: Tell) -> Sweep:
    chunk = min(_fitted_chunks(sweep, tell))
    if chunk == sweep.points()[0].cells[0].settings.probe.chunk:
        return sweep
    common = {**sweep.grid.common, "probe.chunk": chunk}
    return dataclasses.replace(sweep, grid=dataclasses.replace(sweep.grid, common=common))


def _fitted_chunks(sweep: Sweep, tell: Tell) -> Iterator[int]:
    for point in extremes(sweep.points()):
        with jax.enable_x64(True):
            yield fitted(point.cells[0].settings, tell=tell, bounds=BOUNDS).probe.chunk


def _least(settings: Settings, _seeds: int) -> int:
    """What estimates of a chunk certainly hold: a batch and an inner state each."""
    sizes = sizes_of(settings)
    return _held(settings, sizes.trajectories + sizes.inner)


def _suspected(settings: Settings, _seeds: int) -> int:
    sizes = sizes_of(settings)
    return _held(settings, max(sizes.trajectories + sizes.inner, sizes.largest))


def _held(settings: Settings, each: int) -> int:
    """By chunks in which so much is of each estimate, and by the estimates themselves."""
    sizes, probe = sizes_of(settings), settings.probe
    return 2 * sizes.state + probe.chunk * each + 2 * probe.samples * sizes.meta


def _need(settings: Settings, _seeds: int) -> int:
    """By the program that draws a chunk of estimates."""
    learner, key = Learner(settings), jax.eval_shape(jax.random.key, 0)
    keys = jax.eval_shape(lambda key: jax.random.split(key, settings.probe.chunk), key)
    state = jax.eval_shape(learner.init, key)
    return PROCESS + program_bytes(program_of(learner).lower(state, keys).compile())


BOUNDS = Bounds(_least, _suspected, _need)
"""Of a point of a sweep."""
