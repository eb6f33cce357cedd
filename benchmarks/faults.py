"""Faults: kills at random moments, and single files damaged; what comes of them is counted.

`python -m benchmarks.faults [--kills N] [--reports N] [--damages N] [--disks N] [--seed S]` makes a
tiny run and a tiny study, harms copies of them, goes on, and compares every metric and probe bit
for bit. Kills are so many by each of three signals, of a run and of a study each.
"""

import argparse
import contextlib
import io
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
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
UNHARMED, RECOVERED, NEARLY = "as before", "recovered bit for bit", "told, equal to rounding"
OUTCOMES = (UNHARMED, RECOVERED, NEARLY, "refused in one line", "silently different", "traceback")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
DERIVED = {"report.html", "figures", "tables", ".lock", "timings.jsonl"}  # or clocks
AS_INSTALLED = (
    "import sys; from hessdiag.cli.main import main; sys.argv[0] = 'hessdiag'; "
    "__name__ == '__main__' and main()"
)
HERE = (  # the command with an empty page for a report
    "import sys; from hessdiag.cli.main import main; from benchmarks.faults import read_only; "
    "read_only(); sys.argv[0] = 'hessdiag'; __name__ == '__main__' and main()"
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
    return one.keys() == other.keys() and all(map(_same, one.values(), other.values()))


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


# --- kills -----------------------------------------------------------------------------------


class Killed(NamedTuple):
    """A process that got a signal, if it had not ended before."""

    code: int
    in_time: bool


def kill(words: tuple[object, ...], number: int, after: float) -> Killed:
    """Send a signal to a command some time after it has begun."""
    process = subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=after)
    in_time = process.poll() is None
    if in_time:
        process.send_signal(number)
    process.communicate(timeout=300)
    return Killed(process.returncode, in_time)


def kills(folder: Path, kind: str, count: int, rng: random.Random) -> Iterator[Case]:
    """So many kills by each signal: of a run or a study, then of what goes on with it, and so on.

    After a few of them it goes on undisturbed, and all it holds is compared.
    """
    words, mark = KINDS[kind]
    whole, began = folder / kind, time.monotonic()
    assert done(*words, "--out", whole)[0] == 0
    seconds, expected = time.monotonic() - began, results(whole)
    signals = [number for number in SIGNALS for _ in range(count)]
    rng.shuffle(signals)
    while signals:
        path, told = folder / f"killed-{kind}-{len(signals)}", []
        resume = (words[0], "--resume", path, "--quiet")
        while signals and len(told) < 5:
            number, after = signals.pop(), rng.uniform(0, seconds)
            has_begun = (path / mark).exists()
            if not kill(resume if has_begun else (*words, "--out", path), number, after).in_time:
                signals.append(number)
                break
            told.append((number, has_begun, after))
        has_begun = (path / mark).exists()
        code, _, err = done(*(resume if has_begun else (*words, "--out", path)))
        left = [*path.rglob("*.tmp"), *path.rglob("*checkpoint-tmp*")]
        what = outcome(code, err, alike(results(path), expected) and not left, RECOVERED)
        life = ", ".join(f"{number.name} {after:.2f} s" for number, _, after in told)
        for number, again, _ in told:
            what_of = f"{kind}, going on" if again else kind
            yield Case(f"{number.name} of a {what_of}", what, f"{life}: {err[-300:]}")
        shutil.rmtree(path, ignore_errors=True)


def killed_reports(folder: Path, count: int, rng: random.Random) -> Iterator[Case]:
    """So many kills by each signal of a report, which is then made again."""
    path = folder / "reported"
    assert done(*RUN, "--out", path)[0] == 0
    make = [sys.executable, "-c", AS_INSTALLED, "report", path]
    began = time.monotonic()
    subprocess.run(make, check=True, capture_output=True)
    seconds, page = time.monotonic() - began, _made(path)
    for number in [number for _ in range(count) for number in SIGNALS]:
        after = rng.uniform(0, seconds)
        process = subprocess.Popen(make, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=after)
        process.send_signal(number)
        process.communicate(timeout=300)
        whole = (path / "report.html").read_bytes() == page["report.html"]
        same, err = whole, "the page is not whole"
        if number == SIGNALS[-1]:  # after one of each
            ended = subprocess.run(make, capture_output=True, text=True)
            same, err = whole and _made(path) == page, ended.stderr
        what = RECOVERED if same else OUTCOMES[-2]
        yield Case(f"{number.name} of a report", what, f"{after:.2f} s: {err[-300:]}")


def _made(path: Path) -> dict[str, bytes]:
    """What a report consists of, and what else lies there."""
    files = [path / "report.html", *path.glob("figures/*"), *path.glob("tables/*")]
    left = [file for file in path.rglob("*.tmp")]
    return {str(file.relative_to(path)): file.read_bytes() for file in [*files, *left]}


def _kind(number: int) -> str:
    """A study after every two runs."""
    return "study" if number % 3 == 2 else "run"


# --- disks -----------------------------------------------------------------------------------


def full_disks(folder: Path, count: int, rng: random.Random, call: Callable) -> Iterator[Case]:
    """A run on a disk that fills up, and, once there is room, its resume; wants to mount one."""
    whole, disk = folder / "roomy", folder / "disk"
    assert call(*RUN, "--out", whole)[0] == 0
    expected = results(whole)
    size = sum(file.stat().st_size for file in whole.rglob("*") if file.is_file())
    disk.mkdir()
    for _ in range(count):
        small = rng.randrange(8192, size)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={small}", "tmpfs", disk]
        if subprocess.run(mount, capture_output=True).returncode:
            print("no disk can be mounted here")
            return
        try:
            code, _, err = call(*RUN, "--out", disk / "run")
            what = outcome(code, err, alike(results(disk / "run"), expected), UNHARMED)
            yield Case("disk full", what, f"{small} bytes: {err[-300:]}")
            subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
            begun = (disk / "run" / "config.json").exists()
            again = ("run", "--resume", disk / "run", "--quiet")
            code, _, err = call(*(again if begun else (*RUN, "--out", disk / "run")))
            same = alike(results(disk / "run"), expected)
            what = outcome(code, err, same, RECOVERED)
            yield Case("disk full, then room again", what, f"{small} bytes: {err[-300:]}")
        finally:
            subprocess.run(["umount", disk], check=True)


# --- damages ---------------------------------------------------------------------------------


def flip(file: Path, other: Path, rng: random.Random) -> None:
    del other
    content = bytearray(file.read_bytes())
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def truncate(file: Path, other: Path, rng: random.Random) -> None:
    del other
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content))] if content else b"")


def delete(file: Path, other: Path, rng: random.Random) -> None:
    del other, rng
    file.unlink()


def exchange(file: Path, other: Path, rng: random.Random) -> None:
    del rng
    shutil.copyfile(other, file)


DAMAGES: tuple[Callable[[Path, Path, random.Random], None], ...] = (
    flip,
    truncate,
    delete,
    exchange,
)


def counterpart(file: Path, root: Path, elsewhere: Path, rng: random.Random) -> Path:
    """The same file of another run or study, or another one of the same kind."""
    there = elsewhere / file.relative_to(root)
    if there.is_file() and there.read_bytes() != file.read_bytes():
        return there
    others = [path for path in root.rglob(f"*{file.suffix}") if path.is_file() and path != file]
    return rng.choice(others or [file])


def harmed(path: Path, rng: random.Random) -> Path:
    """A file to damage: each kind of file as often, however many there are of it."""
    kinds: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("*")):
        parts = file.relative_to(path).parts
        if file.is_file() and not {*parts} & DERIVED:
            held = "checkpoints" in parts and file.suffix != ".json"
            kinds.setdefault("checkpoint" if held else file.suffix + file.name[:3], []).append(file)
    return rng.choice(kinds[rng.choice(sorted(kinds))])


def damages(folder: Path, count: int, rng: random.Random, call: Callable) -> Iterator[Case]:
    """One file is damaged, then the directory is shown, then gone on with."""
    bases = {}
    for kind, (words, _) in KINDS.items():
        whole, other = folder / f"whole-{kind}", folder / f"other-{kind}"
        changed = (*words, "--set", "learning.learning_rate=0.002")
        assert call(*words, "--out", whole)[0] == call(*changed, "--out", other)[0] == 0
        copy = _copied(whole, folder / "harmed" / kind)
        bases[kind] = whole, other, results(whole), call("show", copy, "--full")
    for k in range(count):
        kind, damage = _kind(k), DAMAGES[k // 3 % len(DAMAGES)]
        whole, other, expected, shown = bases[kind]
        copy = _copied(whole, folder / "harmed" / kind)
        file = harmed(copy, rng)
        damage(file, counterpart(file, copy, other, rng), rng)
        told, name = f"{damage.__name__} {file.relative_to(copy)}", f"{damage.__name__}, {kind}"
        code, out, err = call("show", copy, "--full")
        what = outcome(code, err, (code, out) == shown[:2], UNHARMED)
        yield Case(f"{name} shown", what, f"{told}: {err[-300:]}")
        code, _, err = call(KINDS[kind][0][0], "--resume", copy, "--quiet")
        found = results(copy)
        what = outcome(code, err, alike(found, expected), RECOVERED)
        if what == OUTCOMES[-2] and err and nearly(found, expected):
            what = NEARLY
        yield Case(f"{name} resumed", what, f"{told}: {err[-300:]}")


def _copied(whole: Path, copy: Path) -> Path:
    shutil.rmtree(copy, ignore_errors=True)
    return Path(shutil.copytree(whole, copy))


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


def table(counts: dict[str, Counter]) -> str:
    """Kinds by outcomes."""
    head = ("kind", "cases", *OUTCOMES)
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for kind, found in counts.items():
        numbers = (found[name] for name in OUTCOMES)
        lines.append(f"| {kind} | {found.total()} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines)


def main() -> None:
    """Count what comes of faults; whatever is different or a traceback is told."""
    parser = argparse.ArgumentParser(description=__doc__)
    counts_of = {"--kills": 4, "--reports": 4, "--damages": 400, "--disks": 20, "--seed": 0}
    for name, default in counts_of.items():
        parser.add_argument(name, type=int, default=default)
    asked = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # what was counted so far is told
        signal.signal(number, signal.default_int_handler)
    rng = random.Random(asked.seed)
    counts: dict[str, Counter] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "xla"))
        call = caller()
        cases = [
            *([full_disks(folder, asked.disks, rng, call)] if asked.disks else []),
            *([damages(folder, asked.damages, rng, call)] if asked.damages else []),
            *(kills(folder, kind, asked.kills, rng) for kind in KINDS if asked.kills),
            *([killed_reports(folder, asked.reports, rng)] if asked.reports else []),
        ]
        with contextlib.suppress(KeyboardInterrupt):
            for source in cases:
                for case in source:
                    counts.setdefault(case.kind, Counter())[case.outcome] += 1
                    if case.outcome in OUTCOMES[-2:]:
                        print(*case, sep=": ", flush=True)
    print(table(counts))


if __name__ == "__main__":
    main()
