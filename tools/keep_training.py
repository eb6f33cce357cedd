"""Keeps a study under way in another folder, as git can have it: what it takes to go on, no pages.

`python tools/keep_training.py STUDY FOLDER`: then `hessdiag study --resume FOLDER` goes on from the
last checkpoint of every cell.
"""

import shutil
import sys
from pathlib import Path

FILES = ("config.json", "summary.json", "metrics.jsonl", "timings.jsonl")


def keep(study: Path, folder: Path) -> None:
    """The plan, and of every cell that has begun its record, its probes and its last checkpoint.

    What the folder held before goes only when all of the study has been copied.
    """
    made = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    shutil.copy(study / "study.json", made)
    for cell in sorted(config.parent for config in (study / "cells").glob("*/config.json")):
        into = made / "cells" / cell.name
        (into / "probes").mkdir(parents=True)
        for probe in (cell / "probes").glob("*.nc"):
            shutil.copy(probe, into / "probes")
        for name in FILES:
            shutil.copy(cell / name, into)
        _keep_last_checkpoint(cell / "checkpoints", into / "checkpoints")
    shutil.rmtree(folder, ignore_errors=True)
    made.rename(folder)


def _keep_last_checkpoint(checkpoints: Path, into: Path) -> None:
    last = max((int(path.stem) for path in checkpoints.glob("*.json")), default=None)
    if last is None:
        return
    shutil.copytree(checkpoints / str(last), into / str(last))
    shutil.copy(checkpoints / f"{last}.json", into)
    for note in into.rglob("commit_success.txt"):
        note.write_text("", encoding="ascii")  # it would hold the path of this machine


if __name__ == "__main__":
    given = [Path(word) for word in sys.argv[1:]]
    if len(given) != 2 or not (given[0] / "study.json").is_file():
        sys.exit("keep_training: STUDY FOLDER; allowed: a study's directory, and where to keep it")
    keep(*given)
