"""What a study of 10,000 cells costs besides its cells: to plan, send, watch and report it."""

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.timing import save
from hessdiag.record.study_directory import StudyDirectory, read_study
from hessdiag.report import write_report
from hessdiag.study.grid import Grid
from hessdiag.study.study import Study
from hessdiag.study.task import StudyObserver, Task
from hessdiag.train.interrupt import StopRequest
from hessdiag.train.self_test import set_up_compilation

CELLS, RUN = 10_000, 20
SETTINGS = {
    "env": "mrp",
    "train.iterations": 20,
    "probe.points": 2,
    "probe.samples": 8,
    "probe.chunk": 8,
    "probe.n": 3,
    "problem.batch_size": 3,
}


def main() -> None:
    set_up_compilation()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rows = [*_planned(place / "planned"), *_run(place / "run"), *_started(place / "starts")]
    save("many_cells", "python -m benchmarks.many_cells", rows)


def _planned(path: Path) -> list[dict[str, Any]]:
    """Of all cells, none of which runs."""
    grid = Grid(SETTINGS, {"seed": list(range(CELLS))})
    planning, cells = _timed(grid.cells)
    making, directory = _timed(lambda: StudyDirectory.create(path, grid, {}))
    looking, _ = _timed(lambda: [directory.status(cell) for cell in cells])
    sizes = [len(pickle.dumps(Task(path, (cell,), "hessdiag study"))) for cell in cells[:100]]
    return [
        {"what": f"{CELLS:,} cells: plan, and check all settings", "value": planning, "unit": "s"},
        {"what": f"{CELLS:,} cells: make the directory", "value": making, "unit": "s"},
        {"what": "a look at a cell that waits", "value": looking / CELLS * 1e3, "unit": "ms"},
        {"what": "a task, sent", "value": sum(sizes) / len(sizes) / 1e3, "unit": "kB"},
    ]


def _run(path: Path) -> list[dict[str, Any]]:
    """Of a few cells that were run, two probes each."""
    grid = Grid(SETTINGS, {"seed": list(range(RUN))})
    cells = grid.cells()
    directory = StudyDirectory.create(path, grid, {})
    how = {"observer": StudyObserver(), "stop": StopRequest(), "publish": lambda _: None}
    Study(directory, cells, command="hessdiag study", **how).go()
    looking, _ = _timed(lambda: [directory.status(cell) for cell in cells])
    reporting, _ = _timed(lambda: write_report(directory.run_path(cells[0])))
    read_study(path)  # what it imports is imported
    reading, _ = _timed(lambda: read_study(path))
    concluding, _ = _timed(lambda: write_report(path))
    files = [file for file in directory.run_path(cells[0]).rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return [
        {"what": "a look at a cell that has run", "value": looking / RUN * 1e3, "unit": "ms"},
        {"what": "the report of a cell", "value": reporting, "unit": "s"},
        {"what": "read a cell for the study's report", "value": reading / RUN * 1e3, "unit": "ms"},
        {"what": f"the report of a study of {RUN} cells", "value": concluding, "unit": "s"},
        {"what": "the directory of a cell, with its report", "value": size / 1e6, "unit": "MB"},
        {"what": "files in it", "value": len(files), "unit": ""},
    ]


def _started(path: Path) -> list[dict[str, Any]]:
    """Of one iteration in a process of its own, with an empty compilation cache and a full one."""
    rows = []
    for env in ("mrp", "snake"):
        cache = str(path / f"cache-{env}")
        for how in ("nothing is compiled yet", "another worker has compiled"):
            out = path / f"{env}-{len(rows)}"
            seconds, _ = _timed(
                lambda env=env, out=out, cache=cache: _one_iteration(env, out, cache)
            )
            what = f"start a process, one iteration of {env}, n = 5; {how}"
            rows.append({"what": what, "value": seconds, "unit": "s"})
    return rows


def _one_iteration(env: str, out: Path, cache: str) -> None:
    command = [sys.executable, "-c", "from hessdiag.cli.main import main; main()", "run"]
    command += ["--env", env, "--n", "5", "--quiet", "--out", str(out)]
    command += ["--set", "train.iterations=1", "--set", "probe.points=0"]
    subprocess.run(command, check=True, env={**os.environ, "JAX_COMPILATION_CACHE_DIR": cache})


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    value = call()
    return time.perf_counter() - began, value


if __name__ == "__main__":
    main()
