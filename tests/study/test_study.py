"""Studies of tiny runs: all cells, failures that stop nothing, resumption without repetition."""

import json
import signal

import pytest

from hessdiag.errors import UsageError
from hessdiag.study import Grid, Study, StudyDirectory, StudyObserver, calibrate
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.observer import Observer
from tests.train.driving import (
    TINY,
    SignalAt,
    assert_same_but_for_rounding,
    assert_same_run,
    fresh,
)

COMMON = {key: value for key, value in TINY.items() if key not in ("n", "probe.at")} | {
    "train.iterations": 3,
    "probe.points": 0,
}
GRID = Grid(COMMON, {"n": [1, 2], "seed": [0, 1]})


class Seen(StudyObserver):
    """Remembers what it hears; may send a signal from within a cell."""

    def __init__(self, interrupt: str | None = None):
        self.heard = []
        self._interrupt = interrupt

    def on_cell(self, cell, status):
        self.heard.append((cell.slug, status.state))

    def observer_of(self, cell):
        if cell.slug == self._interrupt:
            return SignalAt(signal.SIGINT, "training", 2)
        return Observer()


def drive(directory, observer=None, grid=GRID):
    with StopRequest() as stop:
        return Study(
            directory,
            grid.cells(),
            command="hessdiag study",
            observer=observer or StudyObserver(),
            stop=stop,
            publish=lambda _: None,
        ).go()


def create(path, grid=GRID):
    return StudyDirectory.create(path, grid, {"command": "hessdiag study"})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = create(tmp_path_factory.mktemp("study") / "study")
    assert drive(directory) == 0
    return directory


def test_every_cell_is_a_run_of_its_own(finished, tmp_path):
    cells = GRID.cells()
    assert {finished.status(cell).state for cell in cells} == {"finished"}
    alone = fresh(tmp_path / "run", COMMON | {"n": 2, "seed": 1})
    assert_same_but_for_rounding(finished.run_path(cells[3]), alone)


def test_stopped_inside_a_cell_and_resumed(finished, tmp_path):
    directory = create(tmp_path / "study")
    seen = Seen(interrupt="n2-seed1")
    with pytest.raises(Interrupted):
        drive(directory, seen)
    assert seen.heard == [
        ("n1-seed0", "running"),
        ("n1-seed1", "running"),
        ("n1-seed0", "finished"),
        ("n1-seed1", "finished"),
        ("n2-seed0", "running"),
        ("n2-seed1", "running"),
    ]
    again = StudyDirectory.open(tmp_path / "study")
    first = again.run_path(GRID.cells()[0]) / "metrics.jsonl"
    before = first.stat().st_mtime_ns
    seen = Seen()
    assert drive(again, seen, again.grid) == 0
    assert seen.heard[:2] == [("n1-seed0", "finished"), ("n1-seed1", "finished")]
    assert first.stat().st_mtime_ns == before
    for cell in GRID.cells():
        assert_same_run(again.run_path(cell), finished.run_path(cell))


def test_a_failed_cell_does_not_stop_the_rest(tmp_path):
    """A learning rate that blows up, in the middle."""
    rates = {"learning.learning_rate": [1e-3, 1e30, 1e-2]}
    grid = Grid(COMMON | {"learning.optimiser": "sgd", "n": 1}, rates)
    directory = create(tmp_path / "study", grid)
    seen = Seen()
    assert drive(directory, seen, grid) == 1
    ends = [(slug, state) for slug, state in seen.heard if state != "running"]
    assert [state for _, state in ends] == ["finished", "failed", "finished"]
    status = directory.status(grid.cells()[1])
    assert "NaN or infinity" in (status.message or "")
    assert drive(directory, seen, grid) == 1  # tried once more, failed once more


def test_calibration_sees_longer_runs_take_longer():
    common = {key: value for key, value in COMMON.items() if key != "train.iterations"}
    common["probe.points"] = 1
    short, long = (
        calibrate(cell.settings) for cell in Grid(common, {"train.iterations": [10, 1000]}).cells()
    )
    assert long.training_seconds > 10 * short.training_seconds
    assert short.probe_seconds > 0
    assert short.memory_bytes > 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is no study"),
        ("{", "damaged"),
        (json.dumps({"format_version": 99}), "format version 99"),
        (json.dumps({"format_version": 1}), "damaged"),
    ],
)
def test_what_is_no_study_is_refused(tmp_path, text, words):
    if text is not None:
        (tmp_path / "study.json").write_text(text)
    with pytest.raises(UsageError, match=words):
        _ = StudyDirectory.open(tmp_path).grid


def test_a_study_is_never_overwritten(finished):
    with pytest.raises(UsageError, match=r"--out: .* exists"):
        create(finished.path)
