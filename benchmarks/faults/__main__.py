"""Counts what comes of faults: `python -m benchmarks.faults --help` has the flags.

It makes a tiny run and a tiny study, harms copies of them, goes on, and compares every metric and
probe bit for bit. Kills are so many by each of three signals, of a run and of a study each.
"""

import argparse
import contextlib
import os
import random
import signal
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.faults.cases import KINDS, OUTCOMES, caller
from benchmarks.faults.damages import damages
from benchmarks.faults.disks import full_disks, read_only_disks
from benchmarks.faults.kills import killed_reports, kills


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
    parser.add_argument("--of", choices=KINDS, help="kill runs or studies alone")
    asked = parser.parse_args()
    killed = [asked.of] if asked.of else KINDS
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
            *([read_only_disks(folder, asked.disks, rng, call)] if asked.disks else []),
            *([damages(folder, asked.damages, rng, call)] if asked.damages else []),
            *(kills(folder, kind, asked.kills, rng) for kind in killed if asked.kills),
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
