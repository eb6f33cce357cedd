"""Whether a run stays as it is: memory, open files, threads and time over 10,000 iterations.

Each run has 100 probes. Compared is its last fifth with its second one: in the first, programs are
still compiled.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.timing import save
from hessdiag.record.documents import read_lines
from hessdiag.train.interrupt import StopRequest
from hessdiag.train.launch import start
from hessdiag.train.presets import resolve
from hessdiag.train.run import Run
from hessdiag.train.seed_run import Observer, SeedRun
from hessdiag.train.self_test import set_up_compilation

ITERATIONS, PROBES = 10_000, 100
_PROBED = {
    "train.iterations": ITERATIONS,
    "train.checkpoint_minutes": 0.1,
    "probe.points": PROBES,
    "probe.samples": 2,
    "probe.unrolls": 1,
    "probe.max_matvecs": 8,
    "probe.resamples": 100,
    "probe.counterfactuals": ["no-hessian", "no-memory"],
    "probe.nested": 2,
}
CASES = {
    "Markov reward process, n = 2": {"env": "mrp", "n": 2, "problem.batch_size": 4},
    "Snake 6×6, n = 1": {"env": "snake", "n": 1, "problem.rows": 6, "problem.cols": 6},
}


class Look(NamedTuple):
    """What a process has at some moment."""

    iteration: int
    mebibytes: float  # resident
    files: int
    threads: int


class Looking(Observer):
    """Looks after every hundredth iteration."""

    def __init__(self):
        self.looks: list[Look] = []
        self.probe_seconds: list[float] = []
        self._began = 0.0

    def on_iteration(self, record: Mapping[str, Any]) -> None:
        """Look, once in a while."""
        if record["iteration"] % 100 == 99:
            self.looks.append(_look(record["iteration"]))

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """A probe begins."""
        del total
        if phase == "probing" and done == 0:
            self._began = time.perf_counter()

    def on_probe(self, record: Mapping[str, Any]) -> None:
        """It has ended."""
        del record
        self.probe_seconds.append(time.perf_counter() - self._began)


def _look(iteration: int) -> Look:
    status = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in status)
    files = len(os.listdir("/proc/self/fd"))
    return Look(iteration, int(fields["VmRSS"].split()[0]) / 1024, files, int(fields["Threads"]))


def main() -> None:
    set_up_compilation()
    table = [_row(name, settings) for name, settings in CASES.items()]
    columns = ["", "memory, MiB", "open files", "threads", "time an iteration", "time a probe"]
    title = f"From the second fifth to the last one of {ITERATIONS:,} iterations, {PROBES} probes"
    tables = [{"title": title, "columns": columns, "rows": table}]
    save("steady", "python -m benchmarks.steady", [], tables=tables)


def _row(name: str, changes: Mapping[str, Any]) -> list[str]:
    settings, looking = resolve({**_PROBED, **changes}), Looking()
    with tempfile.TemporaryDirectory() as folder, StopRequest() as stop:
        directory = start(settings, Path(folder) / "run", command="python -m benchmarks.steady")
        Run([SeedRun(settings, directory, looking)], stop=stop).go()
        seconds = [line["seconds"] for _, line in read_lines(directory.path / "timings.jsonl")]
    looks = looking.looks
    ends = [_fifth(looks, 1), _fifth(looks, 4)]
    times = (_change(seconds), _change(looking.probe_seconds))
    return [
        name,
        *(
            f"{_median(ends[0], field):,.0f} → {_median(ends[1], field):,.0f}"
            for field in (1, 2, 3)
        ),
        *(f"{ratio:.2f} ×" for ratio in times),
    ]


def _fifth[T](values: list[T], number: int) -> list[T]:
    size = len(values) // 5
    return values[number * size : (number + 1) * size]


def _median(looks: list[Look], field: int) -> float:
    return statistics.median(look[field] for look in looks)


def _change(seconds: list[float]) -> float:
    return statistics.median(_fifth(seconds, 4)) / statistics.median(_fifth(seconds, 1))


if __name__ == "__main__":
    main()
