"""What is kept of a training under way is enough to go on as if nothing had been."""

import pytest

from hessdiag.record.study_directory import StudyDirectory
from tests.study.driving import drive
from tests.study.test_killed_between import GRID, Killed, killed_after
from tests.train.driving import assert_same_run
from tools.keep_training import keep

PLAN = {"command": "hessdiag study"}


def test_a_copy_goes_on_where_the_training_stood(tmp_path, monkeypatch):
    whole = StudyDirectory.create(tmp_path / "whole", GRID, PLAN)
    drive(whole, GRID)
    stopped = StudyDirectory.create(tmp_path / "stopped", GRID, PLAN)
    with monkeypatch.context() as patched:
        killed_after(patched, 9)
        with pytest.raises(Killed):
            drive(stopped, GRID)
    keep(stopped.path, tmp_path / "kept")
    files = [file for file in (tmp_path / "kept").rglob("*") if file.is_file()]
    assert not any(str(tmp_path).encode() in file.read_bytes() for file in files)
    assert not any(file.suffix == ".html" for file in files)
    kept = StudyDirectory.open(tmp_path / "kept")
    for cell in GRID.cells():
        (checkpoint,) = (kept.run_path(cell) / "checkpoints").glob("*.json")
        assert 0 < int(checkpoint.stem) < GRID.common["train.iterations"]
    drive(kept, GRID)
    for cell in GRID.cells():
        assert_same_run(kept.run_path(cell), whole.run_path(cell))
