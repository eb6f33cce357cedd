"""Disks that fill up, and have room again."""

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

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


def full_disks(folder: Path, count: int, rng: random.Random, call: Callable) -> Iterator[Case]:
    """Runs and studies on a disk that fills up, gone on with when there is room.

    Wants to mount one.
    """
    disk = folder / "disk"
    disk.mkdir()
    bases = {}
    for kind, (typed, mark) in KINDS.items():
        words, whole = (*typed, *IN_PROCESS[kind]), folder / f"roomy-{kind}"
        assert call(*words, "--out", whole)[0] == 0
        size = sum(file.stat().st_size for file in whole.rglob("*") if file.is_file())
        bases[kind] = words, mark, results(whole), size
    for k in range(count):
        words, mark, expected, size = bases[kind := kind_of(k)]
        small = rng.randrange(8192, size)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={small}", "tmpfs", disk]
        if subprocess.run(mount, capture_output=True).returncode:
            print("no disk can be mounted here")
            return
        try:
            path = disk / kind
            code, _, err = call(*words, "--out", path)
            what = outcome(code, err, alike(results(path), expected), UNHARMED)
            yield Case(f"{kind}, disk full", what, f"{small} bytes: {err[-300:]}")
            subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
            again = (kind, "--resume", path, "--quiet")
            code, _, err = call(*(again if (path / mark).exists() else (*words, "--out", path)))
            what = outcome(code, err, alike(results(path), expected), RECOVERED)
            yield Case(f"{kind}, room again", what, f"{small} bytes: {err[-300:]}")
        finally:
            subprocess.run(["umount", disk], check=True)
