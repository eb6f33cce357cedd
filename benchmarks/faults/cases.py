"""What is harmed, how it is gone on with, and what may come of it."""

import contextlib
import io
import re
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray

from hessdiag.record.run_directory import read_run
from hessdiag.record.study_directory import read_study

RUN = (
    *("run", "--env", "mrp", "--n", "2", "--quiet", "--set", "train.iterations=12"),
    *("--set", "probe.at=[4,8]", "-K", "3", "--set", "probe.operators=[]", "--no-products"),
    *("--set", "probe.resamples=100", "--batch-size", "3"),
    *("--set", "train.checkpoint_minutes=0"),
)
STUDY = (
    *("study", "--env", "mrp", "--n", "2", "--seed", "0:2", "--quiet"),
    *("--set", "train.iterations=6", "--set", "probe.at=[3]", "--set", "probe.samples=3"),
    *("--set", "probe.operators=[]", "--set", "probe.products=false"),
    *("--set", "probe.resamples=100", "--set", "problem.batch_size=3"),
    *("--set", "train.checkpoint_minutes=0"),
)
KINDS = {"run": (RUN, "config.json"), "study": (STUDY, "study.json")}
IN_PROCESS = {"run": (), "study": ("--workers", "1")}  # not in processes of its own
UNHARMED, RECOVERED, NEARLY = "as before", "recovered bit for bit", "told, equal to rounding"
OUTCOMES = (UNHARMED, RECOVERED, NEARLY, "refused in one line", "silently different", "traceback")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
DERIVED = {"report.html", "figures", "tables", ".lock", "timings.jsonl"}  # or clocks
AS_INSTALLED = (
    "import sys; from hessdiag.cli.main import main; sys.argv[0] = 'hessdiag'; "
    "__name__ == '__main__' and main()"
)
HERE = (  # the command with an empty page for a report
    "import sys; from hessdiag.cli.main import main; "
    "from benchmarks.faults.cases import read_only; read_only(); "
    "sys.argv[0] = 'hessdiag'; __name__ == '__main__' and main()"
)


def empty_page(path: Path) -> Path:
    """A report that reads all there is, and draws nothing, which takes most of the time."""
    (read_run if (path / "config.json").is_file() else read_study)(path)
    (path / "report.html").write_text("")
    return path / "report.html"


def read_only() -> None:
    """Reports are empty pages, in the processes of a study, too."""
    from hessdiag.cli import drive  # pyright: ignore[reportMissingImports]

    from hessdiag import report

    drive.write_report = report.write_report = empty_page


class Case(NamedTuple):
    """What came of one fault."""

    kind: str
    outcome: str
    details: str


def command(*words: object) -> list[str]:
    """The command without the reports, which take most of the time."""
    return [sys.executable, "-c", HERE, *map(str, words)]


def done(*words: object) -> tuple[int, str, str]:
    """A command that nothing disturbs: its exit code, and what it printed."""
    ended = subprocess.run(command(*words), capture_output=True, text=True, timeout=300)
    return ended.returncode, ended.stdout, ended.stderr


def results(path: Path) -> dict[str, object]:
    """What a directory's runs measured: lines as bytes, probes as datasets, by place."""
    held: dict[str, object] = {}
    for file in sorted(path.rglob("metrics.jsonl")):
        held[str(file.relative_to(path))] = file.read_bytes()
    for file in sorted(path.rglob("probe_*.nc")):
        try:
            held[str(file.relative_to(path))] = xarray.load_dataset(file, engine="h5netcdf")
        except Exception as error:  # of any kind, for a damaged file
            held[str(file.relative_to(path))] = repr(error)
    return held


def alike(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether all of it is the same to the bit."""
    return not apart(one, other)


def apart(one: dict[str, object], other: dict[str, object]) -> list[str]:
    """The places where they are not the same to the bit."""
    return [place for place in {**one, **other} if not _same(one.get(place), other.get(place))]


def _same(one: object, other: object) -> bool:
    if isinstance(one, xarray.Dataset) and isinstance(other, xarray.Dataset):
        return one.identical(other)
    return type(one) is type(other) and one == other


def nearly(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether lines agree but for rounding: a seed made again without those it was trained with."""
    if one.keys() != other.keys():
        return False
    pairs = [pair for pair in zip(one.values(), other.values(), strict=True)]
    return all(
        np.allclose(_numbers(a), _numbers(b), rtol=1e-3, atol=1e-6)
        for a, b in pairs
        if isinstance(a, bytes) and isinstance(b, bytes)
    )


def _numbers(lines: bytes) -> list[float]:
    return [float(number) for number in re.findall(rb"-?\d+\.?\d*(?:e-?\d+)?", lines)]


def outcome(code: int, err: str, is_alike: bool, otherwise: str) -> str:
    """Which of `OUTCOMES` it is; studies have a line for each cell and each report."""
    lines = err.splitlines()
    if code < 0 or len(lines) > 6 or not all(line.startswith("hessdiag: ") for line in lines):
        return "traceback"
    if code in (1, 2):
        return "refused in one line" if lines else "traceback"
    return otherwise if is_alike else "silently different"


def caller() -> Callable[..., tuple[int, str, str]]:
    """The command in this process: programs stay compiled; a traceback is printed as elsewhere."""
    from hessdiag.cli.main import main  # pyright: ignore[reportMissingImports]

    from hessdiag.train import launch, run
    from tests.train.shared_programs import LEARNER, PROBE_OF

    read_only()
    launch.Learner = run.Learner = LEARNER
    run.probe_of = PROBE_OF

    def call(*words: object) -> tuple[int, str, str]:
        sys.argv = ["hessdiag", *map(str, words)]
        out, err, code = io.StringIO(), io.StringIO(), -1
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as left:
                code = int(left.code or 0)
            except BaseException:
                traceback.print_exc()
        return code, out.getvalue(), err.getvalue()

    return call


def kind_of(number: int) -> str:
    """A study after every two runs."""
    return "study" if number % 3 == 2 else "run"
