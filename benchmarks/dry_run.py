"""What `hessdiag study --dry-run` expects of a small mechanism study of Snake, and what it takes.

The estimate counts spectra as if none converged early, so that a study should take less.
"""

import tempfile
import time
from pathlib import Path

from hessdiag.cli.compilation import set_up_compilation  # pyright: ignore[reportMissingImports]

from benchmarks.timing import save
from hessdiag.study import Estimate, Grid, Study, StudyDirectory, StudyObserver, calibrate
from hessdiag.train.interrupt import StopRequest

SEEDS = 3
GRID = Grid(
    {
        "env": "snake",
        "n": 1,
        "train.iterations": 40,
        "probe.n": 3,
        "probe.points": 1,
        "probe.samples": 8,
        "probe.nested": 2,
        "probe.unrolls": 1,
        "probe.operator_unrolls": 1,
        "probe.counterfactuals": ["no-hessian", "no-memory", "stable-hessian"],
    },
    {"seed": list(range(SEEDS))},
)


def main() -> None:
    set_up_compilation()
    cells = GRID.cells()
    _study()  # compiles
    estimates, seconds = [], []
    for _ in range(3):  # in turns: the machine is not equally fast all the time
        estimates.append(_expected(calibrate(cells[0].settings, seeds=SEEDS)))
        seconds.append(_study())
    save(
        "dry_run",
        "python -m benchmarks.dry_run",
        [
            {
                "what": "compiled already: time of the study / what a dry run expects, least",
                "value": min(s / e for s, e in zip(seconds, estimates, strict=True)),
                "unit": "×",
            },
            {
                "what": "the same, most",
                "value": max(s / e for s, e in zip(seconds, estimates, strict=True)),
                "unit": "×",
                "goal": "≤ 1",
            },
        ],
    )


def _expected(estimate: Estimate) -> float:
    return estimate.training_seconds + SEEDS * estimate.probe_seconds


def _study() -> float:
    """Seconds of the study without its reports, which a dry run does not count."""
    with tempfile.TemporaryDirectory() as folder, StopRequest() as stop:
        directory = StudyDirectory.create(Path(folder) / "study", GRID, {})
        study = Study(
            directory,
            GRID.cells(),
            command="python -m benchmarks.dry_run",
            observer=StudyObserver(),
            stop=stop,
            publish=lambda _: None,
        )
        began = time.perf_counter()
        if study.go():
            raise RuntimeError("a cell failed")
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
