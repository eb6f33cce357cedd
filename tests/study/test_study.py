"""Studies of tiny runs: all cells, failures that stop nothing, resumption without repetition."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from hessdiag.errors import UsageError
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study import reports
from hessdiag.study.calibration import calibrate
from hessdiag.study.grid import Grid
from hessdiag.study.study import Study
from hessdiag.study.task import StudyObserver
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.memory import PROCESS
from hessdiag.train.presets import resolve
from hessdiag.train.seed_run import Observer
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
    """Remembers what it hears; may send a signal from within a cell, or raise an error there."""

    def __init__(self, interrupt: str | None = None, breaks: str | None = None):
        self.heard = []
        self.troubles = []
        self._interrupt = interrupt
        self._breaks = breaks

    def on_cell(self, cell, status):
        self.heard.append((cell.slug, status.state))

    def on_trouble(self, message):
        self.troubles.append(message)

    def observer_of(self, cell):
        if cell.slug == self._interrupt:
            return SignalAt(signal.SIGINT, "training", 2)
        return Breaks() if cell.slug == self._breaks else Observer()


class Breaks(Observer):
    """Raises in the second iteration of a run."""

    def on_iteration(self, record):
        if record["iteration"] == 1:
            raise KeyError("no such metric")


def drive(directory, observer=None, grid=GRID, **reports):
    with StopRequest() as stop:
        return study_of(directory, observer, grid, stop=stop, **reports).go()


def study_of(directory, observer=None, grid=GRID, **more):
    options = {"stop": StopRequest(), "publish": lambda _: None} | more
    watched = observer or StudyObserver()
    cells = grid.cells()
    return Study(directory, cells, command="hessdiag study", observer=watched, **options)


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


def test_stopped_inside_a_cell_and_resumed(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(reports, "SECONDS_APART", 1e9)
    directory = create(tmp_path / "study")
    seen = Seen(interrupt="n2-seed1")
    concluded = []
    with pytest.raises(Interrupted):
        drive(directory, seen, conclude=lambda: concluded.append(len(seen.heard)))
    assert concluded == [0, len(seen.heard)]
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
    assert drive(again, seen, Grid(*again.plan)) == 0
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


def broken(**varied):
    """Studies of a user's problem that raises in every cell while it is traced."""
    return Grid(COMMON | {"env": "tests.study.raises:Raises", "n": 1}, varied)


@pytest.mark.parametrize(
    ("inside", "errors"),
    [
        ("start", ["TypeError", "IndexError", "AssertionError", "NotImplementedError"]),
        ("rollout", ["TypeError", "AssertionError"]),
        ("metrics", ["TypeError"]),
    ],
)
def test_whatever_a_users_problem_raises_fails_its_cell_alone(tmp_path, inside, errors):
    grid = broken(**{"problem.inside": [inside], "problem.error": errors})
    directory = create(tmp_path / "study", grid)
    assert drive(directory, grid=grid) == len(errors)
    for cell, error in zip(grid.cells(), errors, strict=True):
        status = directory.status(cell)
        said = f"{inside} of 'tests.study.raises:Raises' failed ({error}: no luck)"
        assert status.state == "failed"
        assert said in (status.message or "")
        kept = (directory.path / "cells" / f"{cell.slug}.failed").read_text()
        assert said in kept.splitlines()[0]
        assert f"in {inside}\n" in kept  # the traceback leads to the mistake
        assert f"{error}: no\nluck\n" in kept


@pytest.mark.parametrize(
    ("error", "inside"), [("KeyboardInterrupt", "rollout"), ("SystemExit", "metrics")]
)
def test_what_is_meant_to_end_the_program_ends_it(tmp_path, error, inside):
    """Before the run has a directory, where the problem is tested."""
    grid = broken(**{"problem.inside": [inside], "problem.error": [error, "TypeError"]})
    directory = create(tmp_path / "study", grid)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        drive(directory, grid=grid)
    assert {directory.status(cell).state for cell in grid.cells()} == {"waiting"}


def test_where_seeds_fail_together_only_the_one_to_blame_is_failed(finished, tmp_path):
    grid = Grid(COMMON, {"n": [2], "seed": [0, 1]})
    directory = create(tmp_path / "study", grid)
    seen = Seen(breaks="n2-seed1")
    assert drive(directory, seen, grid) == 1
    first, second = (directory.status(cell) for cell in grid.cells())
    assert (first.state, first.iteration) == ("finished", 3)
    assert (second.state, second.message) == ("failed", "KeyError: 'no such metric'")
    (trouble,) = seen.troubles
    assert trouble.startswith("n=2 seed=0, n=2 seed=1: KeyError: 'no such metric'")
    same = [study.run_path(grid.cells()[0]) for study in (directory, finished)]
    assert_same_but_for_rounding(*same)
    assert drive(directory, grid=grid) == 0  # nothing of it is left behind


def test_a_report_that_cannot_be_made_stops_nothing(finished, tmp_path):
    """The cells are there; their reports and that of the study are not."""
    directory = StudyDirectory(shutil.copytree(finished.path, tmp_path / "study"))

    def fail(*_):
        raise ZeroDivisionError("no ticks")

    seen = Seen()
    study = study_of(directory, seen, publish=fail, conclude=fail)
    assert (study.go(), study.missing_reports) == (0, 1 + len(GRID.cells()))
    assert len(seen.heard) == len(GRID.cells())
    assert seen.troubles == [
        f"the report of {name} could not be made (ZeroDivisionError: no ticks)"
        for name in ("the study", *(cell.name for cell in GRID.cells()))
    ]


def test_reports_that_a_kill_left_to_be_made_are_made(finished, tmp_path):
    directory = StudyDirectory(shutil.copytree(finished.path, tmp_path / "study"))
    published = []

    def publish(path):
        published.append(path)
        (path / "report.html").write_text("")

    for _ in range(2):
        assert drive(directory, publish=publish) == 0
    assert published == [directory.run_path(cell) for cell in GRID.cells()]
    changed = directory.run_path(GRID.cells()[2]) / "summary.json"
    written = (changed.parent / "report.html").stat().st_mtime
    os.utime(changed, (written + 1, written + 1))  # newer than its report, on any clock
    assert drive(directory, publish=publish) == 0
    assert published[4:] == [changed.parent]


def test_a_cell_that_lost_its_config_keeps_the_rest(tmp_path):
    grid = broken(**{"problem.error": ["TypeError"]})
    directory = create(tmp_path / "study", grid)
    (cell,) = grid.cells()
    (directory.run_path(cell) / "checkpoints" / "3").mkdir(parents=True)
    assert drive(directory, grid=grid) == 1
    message = directory.status(cell).message or ""
    assert message == f"UsageError: {directory.run_path(cell)}/config.json: missing"
    assert (directory.run_path(cell) / "checkpoints" / "3").is_dir()


@pytest.mark.parametrize("killed_at", ["study.json", "cells"])
def test_a_study_killed_while_it_is_made_can_be_made_again(tmp_path, monkeypatch, killed_at):
    make = Path.mkdir

    def kill(self, *arguments, **more):
        if self.name == "cells":
            raise KeyboardInterrupt
        make(self, *arguments, **more)

    with monkeypatch.context() as patch:
        if killed_at == "cells":
            patch.setattr(Path, "mkdir", kill)
        else:
            patch.setattr(os, "replace", lambda *_: kill(Path("cells")))
        with pytest.raises(KeyboardInterrupt):
            create(tmp_path / "study")
    made = create(tmp_path / "study")
    assert Grid(*made.plan) == GRID
    assert [file.name for file in made.path.rglob("*.part")] == []


def test_a_study_without_its_folder_of_cells_goes_on(tmp_path):
    """It was killed after study.json."""
    grid = broken(**{"problem.error": ["TypeError"], "problem.inside": ["start"]})
    directory = create(tmp_path / "study", grid)
    (directory.path / "cells").rmdir()
    assert drive(StudyDirectory.open(directory.path), grid=grid) == 1


def test_calibration_sees_longer_runs_take_longer():
    quick = COMMON | {"n": 1, "probe.points": 1}
    short, long = (calibrate(resolve(quick | {"train.iterations": t})) for t in (10, 1000))
    assert long.training_seconds > 2 * short.training_seconds  # a hundredfold, on a quiet machine
    assert short.probe_seconds > 0
    assert short.memory_bytes > 0


def test_calibration_measures_the_program_of_the_seeds_together():
    """Memory is that of all; and of those vmapped, that of their intermediate results, too."""
    settings = resolve(COMMON | {"n": 1, "probe.chunk": 1})
    vmapped = resolve(COMMON | {"n": 1, "probe.chunk": 6})
    alone = calibrate(settings).memory_bytes - PROCESS
    in_turn = calibrate(settings, seeds=6).memory_bytes - PROCESS
    side_by_side = calibrate(vmapped, seeds=6).memory_bytes - PROCESS
    assert alone < in_turn < side_by_side
    assert side_by_side > 4 * alone


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "study.json: missing"),
        ("{", "damaged"),
        (json.dumps({"format_version": 99}), "format version 99"),
        (json.dumps({"format_version": 2}), "damaged .it has no name"),
    ],
)
def test_what_is_no_study_is_refused(tmp_path, text, words):
    if text is not None:
        (tmp_path / "study.json").write_text(text)
    with pytest.raises(UsageError, match=words):
        StudyDirectory.open(tmp_path)


def test_a_study_is_never_overwritten(finished):
    with pytest.raises(UsageError, match=r"--out: .* exists"):
        create(finished.path)
