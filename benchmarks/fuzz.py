"""Fuzzing: every reader of files gets inputs that nothing has written.

`python -m benchmarks.fuzz [--seconds N] [--seed S]` mutates real files, byte by byte and value by
value, and counts what comes of them: a reader may only return, or refuse in one line.
"""

import argparse
import random
import tempfile
from collections import Counter
from pathlib import Path

from tests.record.fuzzing import REPORTS, Readers, survey

SHARES = {
    "whole run": 0.08,
    "whole run by its summary": 0.04,
    "whole study": 0.08,
    "study of bias": 0.08,
    "point of it": 0.08,
    "note of a point": 0.04,
    "probe": 0.08,
    "results.json": 0.04,
}
OUTCOMES = ("read", "refused", "more than a line", "slow", "traceback")


def main() -> None:
    """Fuzz every reader for its share of the time, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        readers = Readers(Path(folder), REPORTS / "snake-n5").all
        rest = (1 - sum(SHARES.values())) / (len(readers) - len(SHARES))
        print(f"| reader | inputs | {' | '.join(OUTCOMES)} |\n|{' --- |' * (2 + len(OUTCOMES))}")
        total = 0
        for name, (file, read) in readers.items():
            seconds = asked.seconds * SHARES.get(name, rest)
            counts, wrong = survey(file, read, rng, count=10**9, seconds=seconds)
            total += counts.total()
            numbers = " | ".join(f"{counts[what]:,}" for what in OUTCOMES)
            print(f"| {name} | {counts.total():,} | {numbers} |", flush=True)
            for text, times in Counter(wrong).most_common(5):
                print(f"    {times} × {text}", flush=True)
        print(f"{total:,} inputs")


if __name__ == "__main__":
    main()
