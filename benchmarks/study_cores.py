"""What a study gains by a process per core, beside one process that uses all cores.

A seed per core is trained, in turn as one program, or each in a process of its own core.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.timing import save
from hessdiag.cores import usable_cores
from hessdiag.meta.streams import run_keys
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.run import LockStep
from hessdiag.train.seed_run import SeedRun
from hessdiag.train.self_test import set_up_compilation

CASES = {
    "Snake 12×12, n = 5": ({"env": "snake", "n": 5}, 10),
    "Snake 6×6, n = 1": ({"env": "snake", "n": 1, "problem.rows": 6, "problem.cols": 6}, 100),
    "Markov reward process, n = 5": ({"env": "mrp", "n": 5}, 300),
}
REPEATS = 3
_SPAWNING = multiprocessing.get_context("spawn")


def main() -> None:
    usable = usable_cores()
    rows = []
    for name, (settings, iterations) in CASES.items():
        one, each = [], []
        for _ in range(REPEATS):
            one.append(_seconds(settings, iterations, [usable], seeds=len(usable)))
            each.append(_seconds(settings, iterations, [[core] for core in usable], seeds=1))
        ratio = statistics.median(one) / statistics.median(each)
        what = f"{name}, {len(usable)} seeds: one process / a process per core, time"
        rows.append({"what": what, "value": ratio, "unit": "×"})
    save("study_cores", "python -m benchmarks.study_cores", rows)


def _seconds(
    settings: Mapping[str, Any], iterations: int, shares: list[list[int]], *, seeds: int
) -> float:
    """Of training, by processes with these cores at the same time, of so many seeds each."""
    together = _SPAWNING.Barrier(len(shares))
    results: Any = _SPAWNING.Queue()
    arguments = (dict(settings), iterations, seeds, together, results)
    processes = [_SPAWNING.Process(target=_train, args=(share, *arguments)) for share in shares]
    for process in processes:
        process.start()
    seconds = max(results.get() for _ in processes)
    for process in processes:
        process.join()
    return seconds


def _train(
    cores: list[int], settings: dict, iterations: int, seeds: int, together: Any, results: Any
) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    set_up_compilation()
    learner = Learner(resolve(settings))
    runs = cast(list[SeedRun], [SimpleNamespace(keys=run_keys(seed)) for seed in range(seeds)])
    steps = LockStep(learner, runs, [learner.init(run.keys.init) for run in runs])
    steps.advance(0, 1, 1)
    together.wait()
    began = time.perf_counter()
    for iteration in range(1, 1 + iterations):
        steps.advance(iteration, iteration + 1, 1)
    results.put(time.perf_counter() - began)


if __name__ == "__main__":
    main()
