"""Disks that fill up or cannot be written to, and then can."""

import contextlib
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults.cases import (
    IN_PROCESS,
    KINDS,
    RECOVERED,
    UNHARMED,
    Case,
    alike,
    kind_of,
    outcome,
    results,
)
from benchmarks.faults.kills import kill


def full_disks(folder: Path, count: int, rng: random.Random, call: Callable) -> Iterator[Case]:
    """Runs and studies on a disk that fills up, gone on with when there is room."""
    bases = _bases(folder, call)
    for k in range(count):
        kind = kind_of(k)
        words, mark, whole, expected = bases[kind]
        small = rng.randrange(8192, sum(f.stat().st_size for f in whole.rglob("*") if f.is_file()))
        with _disk(folder / "disk", small) as disk:
            if disk is None:
                return
            path, told = disk / kind, f"{small} bytes"
            code, _, err = call(*words, "--out", path)
            what = outcome(code, err, alike(results(path), expected), UNHARMED)
            yield Case(f"{kind}, disk full", what, f"{told}: {err[-300:]}")
            _remount(disk, "size=100m")
            again = (kind, "--resume", path, "--quiet")
            code, _, err = call(*(again if (path / mark).exists() else (*words, "--out", path)))
            what = outcome(code, err, alike(results(path), expected), RECOVERED)
            yield Case(f"{kind}, room again", what, f"{told}: {err[-300:]}")


def read_only_disks(folder: Path, count: int, rng: random.Random, call: Callable) -> Iterator[Case]:
    """Runs and studies that were killed, and go on where nothing can be written, and then can."""
    bases = _bases(folder, call)
    for k in range(count):
        kind = kind_of(k)
        words, mark, _, expected = bases[kind]
        with _disk(folder / "disk", 100 * 2**20) as disk:
            if disk is None:
                return
            path = disk / kind
            while not (path / mark).exists():
                kill((*words, "--out", path), signal.SIGKILL, rng.uniform(2, 10))
            again = (kind, "--resume", path, "--quiet")
            for option, where, what in (
                ("ro", "read-only", UNHARMED),
                ("rw", "writable", RECOVERED),
            ):
                _remount(disk, option)
                for verb, typed in (("shown", ("show", path)), ("reported", ("report", path))):
                    code, _, err = call(*typed)
                    yield Case(f"{kind}, {where}, {verb}", outcome(code, err, True, UNHARMED), err)
                code, _, err = call(*again)
                came = outcome(code, err, alike(results(path), expected), what)
                yield Case(f"{kind}, {where}, resumed", came, err[-300:])


def _bases(folder: Path, call: Callable) -> dict[str, tuple[tuple[str, ...], str, Path, Any]]:
    """By kind: the command, the mark of its directory, an undisturbed one, and its results."""
    bases = {}
    for kind, (typed, mark) in KINDS.items():
        words, whole = (*typed, *IN_PROCESS[kind]), folder / f"roomy-{kind}"
        if not whole.exists():
            assert call(*words, "--out", whole)[0] == 0
        bases[kind] = words, mark, whole, results(whole)
    return bases


@contextlib.contextmanager
def _disk(path: Path, size: int) -> Iterator[Path | None]:
    """A small disk in memory; None where none can be mounted."""
    path.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path]
    if subprocess.run(mount, capture_output=True).returncode:
        print("no disk can be mounted here")
        yield None
        return
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def _remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", disk], check=True)
