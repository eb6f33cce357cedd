"""Kills at random moments: of runs, of studies, of what goes on with them, of reports."""

import contextlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.cases import (
    AS_INSTALLED,
    KINDS,
    OUTCOMES,
    RECOVERED,
    RUN,
    SIGNALS,
    Case,
    apart,
    command,
    done,
    outcome,
    results,
)


def kill(words: tuple[object, ...], number: int, after: float) -> bool:
    """Send a signal to a command some time after it has begun; whether it had not ended before."""
    process = subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=after)
    in_time = process.poll() is None
    if in_time:
        process.send_signal(number)
    process.communicate(timeout=300)
    return in_time


def kills(folder: Path, kind: str, count: int, rng: random.Random) -> Iterator[Case]:
    """So many kills by each signal: of a run or a study, then of what goes on with it, and so on.

    After a few of them it goes on undisturbed, and all it holds is compared.
    """
    words, mark = KINDS[kind]
    for whole in (folder / kind, folder / f"{kind} again"):  # the first one compiles
        began = time.monotonic()
        assert done(*words, "--out", whole)[0] == 0
        seconds = time.monotonic() - began
    expected = results(whole)
    signals = [number for number in SIGNALS for _ in range(count)]
    rng.shuffle(signals)
    while signals:
        path, told = folder / f"killed-{kind}-{len(signals)}", []
        resume = (words[0], "--resume", path, "--quiet")
        while signals and len(told) < 5:
            number, after = signals.pop(), rng.uniform(0, seconds)
            has_begun = (path / mark).exists()
            if not kill(resume if has_begun else (*words, "--out", path), number, after):
                signals.append(number)
                break
            told.append((number, has_begun, after))
        has_begun = (path / mark).exists()
        code, _, err = done(*(resume if has_begun else (*words, "--out", path)))
        left = [*path.rglob("*.tmp"), *path.rglob("*checkpoint-tmp*")]
        harm = [*apart(results(path), expected), *(str(file.relative_to(path)) for file in left)]
        what = outcome(code, err, not harm, RECOVERED)
        life = ", ".join([*(f"{number.name} {after:.2f} s" for number, _, after in told), *harm])
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
