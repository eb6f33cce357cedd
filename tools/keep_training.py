"""Keeps a study under way in another folder, as git can have it: what it takes to go on, no pages.

`python tools/keep_training.py STUDY FOLDER`: then `hessdiag study --resume FOLDER` goes on from the
last checkpoint of every cell.
"""

import shutil
import sys
from pathlib import Path

FILES = ("config.json", "summary.json", "metrics.jsonl", "timings.jsonl")


def keep(study: Path, folder: Path) -> None:
    """The plan, and of every cell its record, its probes and its last checkpoint."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(study / "study.json", folder)
    for cell in sorted((study / "cells").iterdir()):
        into = folder / "cells" / cell.name
        shutil.copytree(cell / "probes", into / "probes")
        for name in FILES:
            shutil.copy(cell / name, into)
        _keep_last_checkpoint(cell / "checkpoints", into / "checkpoints")


def _keep_last_checkpoint(checkpoints: Path, into: Path) -> None:
    last = max((int(path.stem) for path in checkpoints.glob("*.json")), default=None)
    if last is None:
        return
    shutil.copytree(checkpoints / str(last), into / str(last))
    shutil.copy(checkpoints / f"{last}.json", into)
    for note in into.rglob("commit_success.txt"):
        note.write_text("", encoding="ascii")  # it would hold the path of this machine


if __name__ == "__main__":
    keep(*map(Path, sys.argv[1:]))
