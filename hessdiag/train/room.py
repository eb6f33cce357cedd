"""Whether a run fits into memory, before anything is allocated; what would make it fit."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from hessdiag.declared import Setting, settings_of
from hessdiag.errors import UsageError
from hessdiag.probes.chunks import Tell, unheard
from hessdiag.problems import factory
from hessdiag.train.free_memory import free_memory
from hessdiag.train.memory import PROCESS, at_least, needed, suspected
from hessdiag.train.presets import from_flat
from hessdiag.train.settings import DECLARED, PROBLEM_FLAGS, Settings, flatten

MARGIN = 16
"""Where this many times the least is free, nothing is compiled: programs took up to 12 times it."""

_TYPICAL = 4  # what programs take over the least, where none was compiled
_BESIDE = ("probe.max_matvecs", "monte_carlo", "probe.samples", "probe.resamples")
_NAMED = 2  # settings in a message
_TOGETHER = Setting(None, flag="--together", key="together", least=1)


class Bounds(NamedTuple):
    """What settings take, with so many seeds together, in bytes."""

    least: Callable[[Settings, int], int]  # for certain, by shapes, in about a second
    suspected: Callable[[Settings, int], int]  # by shapes, too; the compiler may do with less
    need: Callable[[Settings, int], int]  # by compiled programs


def _of_training() -> Bounds:
    return Bounds(
        lambda settings, seeds: at_least(settings, seeds=seeds) or 0,
        lambda settings, seeds: suspected(settings, seeds=seeds) or 0,
        lambda settings, seeds: needed(settings, seeds=seeds),
    )


def fitted(
    settings: Settings, *, seeds: int = 1, tell: Tell = unheard, bounds: Bounds | None = None
) -> Settings:
    """The settings of a run, or of several that differ by their seed alone, that fits into memory.

    `probe.chunk` is made smaller where that is enough, and `tell` hears of it. A bound by shapes,
    of a second, decides what is far from the limit on either side: only between are the programs
    compiled, which would be compiled anyhow. Other bounds than those of trainings may be given.

    Raises:
        UsageError: it does not fit, in a line: the need, what is free, and what would fit.
    """
    free, bounds = free_memory(), bounds or _of_training()
    if bounds.suspected(settings, seeds) * MARGIN <= free:
        return settings
    chunk, over = settings.probe.chunk, 1.0
    while True:
        tried = settings if chunk == settings.probe.chunk else _with_chunk(settings, chunk)
        least, need = bounds.least(tried, seeds), 0
        if least <= free and (least * over <= free or chunk == 1):
            need = bounds.need(tried, seeds)
            over = max(1.0, need / least)
            if need <= free:
                break
        if chunk == 1:
            raise UsageError(_refusal(tried, seeds, free, need, bounds))
        chunk //= 2
    if tried is not settings:
        asked, said = DECLARED["probe.chunk"].name, settings.probe.chunk
        tell(f"{asked}: {chunk} at once in place of {said}, since {size(free)} of memory are free")
    return tried


def side_by_side(
    programs: Sequence[tuple[Settings, int]], processes: int, bounds: Bounds | None = None
) -> int:
    """How many of these processes fit into memory at once, one at the least.

    Args:
        programs: what any of them may run: settings, and how many seeds are together.
        processes: how many are wanted.
        bounds: other ones than those of trainings.
    """
    free, bounds = free_memory(), bounds or _of_training()
    least = max((bounds.suspected(settings, seeds) for settings, seeds in programs), default=0)
    if processes <= 1 or processes * (PROCESS + MARGIN * least) <= free:
        return processes
    need = max(bounds.need(settings, seeds) for settings, seeds in programs)
    return max(1, min(processes, free // need))


def _with_chunk(settings: Settings, chunk: int) -> Settings:
    return dataclasses.replace(settings, probe=dataclasses.replace(settings.probe, chunk=chunk))


def _refusal(settings: Settings, seeds: int, free: int, need: int, bounds: Bounds) -> str:
    """What is needed, what is free, and the first settings that alone would do.

    Args:
        settings: with chunks of one.
        seeds: how many train together.
        free: bytes.
        need: bytes, as compiled; 0 where the least alone was too much.
        bounds: by which it is too much.
    """
    over = max(1.0, need / bounds.suspected(settings, seeds)) if need else _TYPICAL
    least = f"at least {size(bounds.least(settings, seeds))}"
    says = f"needs {f'about {size(need)}' if need else least} of memory"
    says = f"{says}, and {size(free)} are free"
    found: list[tuple[Setting, int, int]] = []
    for setting, now, change in _changes(settings, seeds):
        value = _largest(partial(_bound, bounds, change), now, int(setting.least or 1), free / over)
        if value is not None:
            found.append((setting, now, value))
        if len(found) == _NAMED:
            break
    if not found:
        return f"it {says}; allowed: less in more than one setting"
    (first, now, value), *others = found
    more = [f"{s.flag.split()[0] if s.flag else s.key} {v} or fewer" for s, _, v in others]
    return f"{first.name}: {now} {says}; allowed: {', or '.join([f'{value} or fewer', *more])}"


Change = Callable[[int], tuple[Settings, int]]
"""A value → the settings with it, and how many seeds are together."""


def _changes(settings: Settings, seeds: int) -> Iterator[tuple[Setting, int, Change]]:
    """What could be smaller: a setting, its value, and what comes of another one."""
    if seeds > 1:
        yield _TOGETHER, seeds, lambda number: (settings, number)
    flat = flatten(settings)
    of_problem = settings_of(factory(settings.env), "problem.")
    flagged = {setting.key: setting for setting in PROBLEM_FLAGS}
    keys = [*flagged, *of_problem, "n", "probe.n", *_BESIDE]
    for key in dict.fromkeys(keys):
        setting = of_problem.get(key) or DECLARED.get(key)
        if setting is None or type(flat[key]) is not int or key == "problem.cols":
            continue

        def changed(value: int, key: str = key) -> tuple[Settings, int]:
            change = {key: value} | ({"problem.cols": value} if key == "problem.rows" else {})
            return from_flat(flat | change), seeds

        yield setting, flat[key], changed


def _bound(bounds: Bounds, change: Change, value: int) -> float:
    """The least that it takes with another value; infinite where that is not allowed."""
    try:
        settings, seeds = change(value)
        return bounds.suspected(settings, seeds)
    except UsageError:
        return math.inf


def _largest(bound: Callable[[int], float], now: int, smallest: int, room: float) -> int | None:
    """About the largest value within the room, of two digits; None where there is none."""
    if smallest >= now or bound(smallest) > room:
        return None
    low, high = max(smallest, 1), now
    while high - low > max(1, low // 8):
        middle = max(low + 1, math.isqrt(low * high))
        low, high = (middle, high) if bound(middle) <= room else (low, middle)
    digits = 10 ** max(0, len(str(low)) - 2)
    return max(smallest, low // digits * digits)


def size(number: float) -> str:
    """Bytes in words."""
    unit, name = (2**30, "GiB") if number >= 2**29 else (2**20, "MiB")
    return f"{number / unit:,.{0 if number >= 10 * unit else 1}f} {name}"
