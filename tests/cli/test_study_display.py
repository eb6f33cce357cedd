"""What is shown of a study: the table of its cells, and what went wrong beside it."""

import io

import pytest
from hessdiag.cli.study_display import (  # pyright: ignore[reportMissingImports]
    ROWS,
    LiveStudyDisplay,
    PlainStudyDisplay,
    StudyDisplay,
)
from rich.console import Console

from hessdiag.record.study_directory import CellStatus, StudyDirectory
from hessdiag.study.grid import Grid

GRID = Grid({"env": "mrp", "train.iterations": 3, "probe.points": 0}, {"seed": [0, 1, 2]})
CELLS = GRID.cells()


@pytest.fixture
def directory(tmp_path) -> StudyDirectory:
    return StudyDirectory.create(tmp_path / "study", GRID, {})


@pytest.fixture
def live(directory) -> LiveStudyDisplay:
    return LiveStudyDisplay(CELLS, directory)


def shown(display: LiveStudyDisplay, width: int = 100) -> tuple[str, list[list[str]]]:
    """The title of the table, and its rows."""
    text = io.StringIO()
    Console(file=text, width=width).print(display.table())
    title, *lines = text.getvalue().splitlines()
    rows = [[text.strip() for text in line.split("│")[1:-1]] for line in lines if "│" in line]
    return title.strip(), rows


def test_before_anything_runs_every_cell_waits(live):
    title, rows = shown(live)
    assert title == "0 of 3 finished, 0 failed"
    assert rows == [[f"seed={seed}", "waiting", ""] for seed in range(3)]


def test_a_study_to_go_on_with_begins_with_what_it_has(directory):
    (directory.run_path(CELLS[0])).mkdir()
    summary = '{"status": "finished", "iteration": 3}'
    (directory.run_path(CELLS[0]) / "summary.json").write_text(summary)
    title, rows = shown(LiveStudyDisplay(CELLS, directory))
    assert title == "1 of 3 finished, 0 failed"
    assert rows[0] == ["seed=0", "finished", ""]


def test_a_running_cell_shows_its_iterations(live):
    for cell in CELLS[:2]:
        live.on_cell(cell, CellStatus("running"))
    watching = [live.observer_of(cell) for cell in CELLS[:2]]
    for done in (1, 2):
        watching[0].on_phase("training", done, 3)
    watching[1].on_phase("probing", 4, 9)
    _, rows = shown(live)
    assert [row[:2] for row in rows] == [
        ["seed=0", "running"],
        ["seed=1", "running"],
        ["seed=2", "waiting"],
    ]
    assert rows[0][2].startswith("training 2/3 ")
    assert " it/s, " in rows[0][2]
    assert rows[1][2] == "probing 4/9"


def test_a_cell_that_has_ended_shows_how(live):
    live.on_cell(CELLS[0], CellStatus("running"))
    live.observer_of(CELLS[0]).on_phase("training", 2, 3)
    live.on_cell(CELLS[0], CellStatus("finished", 3))
    live.on_cell(CELLS[1], CellStatus("failed", 0, "KeyError: '[red]'"))
    title, rows = shown(live)
    assert title.startswith("1 of 3 finished, 1 failed, about ")
    assert rows[0] == ["seed=0", "finished", ""]
    assert rows[1] == ["seed=1", "failed", "KeyError: '[red]'"]


def test_a_long_message_stays_on_its_line(live):
    live.on_cell(CELLS[1], CellStatus("failed", 0, "TypeError: " + "too many words " * 20))
    _, rows = shown(live, width=60)
    assert len(rows) == 3
    assert rows[1][2].startswith("TypeError: too many")
    assert rows[1][2].endswith("…")


def test_of_many_cells_those_around_the_running_one_are_shown(tmp_path):
    grid = Grid(GRID.common, {"seed": list(range(4 * ROWS))})
    cells = grid.cells()
    display = LiveStudyDisplay(cells, StudyDirectory.create(tmp_path / "study", grid, {}))
    for at, first in ((0, 0), (2 * ROWS, 2 * ROWS - ROWS // 2), (4 * ROWS - 1, 3 * ROWS)):
        display.on_cell(cells[at], CellStatus("running"))
        _, rows = shown(display)
        assert [row[0] for row in rows] == [f"seed={k}" for k in range(first, first + ROWS)]


@pytest.mark.parametrize("kind", [StudyDisplay, PlainStudyDisplay])
def test_trouble_is_one_line_where_errors_are_said(live, capsys, kind):
    kind(CELLS).on_trouble("no report")
    assert capsys.readouterr() == ("", "hessdiag: no report\n")
    with live.screen:
        live.on_trouble("no report")
    out, err = capsys.readouterr()
    assert err == "hessdiag: no report\n"
    assert "no report" not in out
