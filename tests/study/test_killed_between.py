"""Seeds that train as one program, killed between what one of them writes and the next does."""

from hessdiag.record.run_directory import RunDirectory
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.grid import Grid
from hessdiag.train.checkpoint import Checkpoints
from tests.study.driving import drive
from tests.train.driving import TINY, assert_same_run

COMMON = {key: value for key, value in TINY.items() if key != "seed"}
SHORT = {"train.iterations": 3, "probe.at": [1], "train.checkpoint_minutes": 0}
GRID = Grid(COMMON | SHORT, {"seed": [0, 1]})


class Killed(BaseException):
    """Nothing that the program could handle."""


def killed_after(monkeypatch, calls: int) -> None:
    """After so many checkpoints and summaries were written."""
    left = [calls]

    def counted(write):
        def call(*given, **more):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return write(*given, **more)

        return call

    monkeypatch.setattr(Checkpoints, "save", counted(Checkpoints.save))
    monkeypatch.setattr(RunDirectory, "write_json", counted(RunDirectory.write_json))


def test_each_moment_leads_to_the_same(tmp_path, monkeypatch):
    whole = StudyDirectory.create(tmp_path / "whole", GRID, {"command": "hessdiag study"})
    drive(whole, GRID)
    calls, over = 0, False
    while not over:
        name = f"killed-{calls}"
        directory = StudyDirectory.create(tmp_path / name, GRID, {"command": "hessdiag study"})
        with monkeypatch.context() as patched:
            killed_after(patched, calls)
            try:
                drive(directory, GRID)
                over = True
            except Killed:
                pass
        drive(directory, GRID)
        for cell in GRID.cells():
            assert_same_run(directory.run_path(cell), whole.run_path(cell))
        calls += 1
    assert calls > 2 * SHORT["train.iterations"]
