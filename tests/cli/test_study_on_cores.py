"""A study in processes of its own: Ctrl-C reaches all of them, and then it goes on."""

import json
import os
import signal
import time

import pytest
from hessdiag.cli import workers  # pyright: ignore[reportMissingImports]
from hessdiag.cli.workers import Workers  # pyright: ignore[reportMissingImports]

from hessdiag.study.grid import Grid
from hessdiag.study.split import Split

TINY = ("--env", "mrp", "--n", "1", "--seed", "0:3", "--set", "probe.points=0")
CELLS = Grid({"env": "mrp"}, {"seed": [0, 1, 2]}).cells()


@pytest.mark.slow
def test_ctrl_c_stops_all_processes_and_the_rest_goes_on_as_it_was_split(spawn, tmp_path):
    path = tmp_path / "study"
    long = (*TINY, "--set", "train.iterations=8000", "--workers", "2", "--quiet")
    study = spawn("study", *long, "--out", path, start_new_session=True)
    while len([*path.glob("cells/*/metrics.jsonl")]) < 3:
        assert study.poll() is None
        time.sleep(0.02)
    os.killpg(study.pid, signal.SIGINT)
    out, err = study.communicate(timeout=60)
    assert (study.returncode, out) == (128 + signal.SIGINT, "")
    assert err.count("\n") == 1
    assert "--resume" in err
    assert json.loads((path / "study.json").read_text())["split"]["together"] == 2
    summaries = {cell: json.loads(cell.read_text()) for cell in path.glob("cells/*/summary.json")}
    assert {summary["status"] for summary in summaries.values()} == {"interrupted"}

    again = spawn("study", "--resume", path, "--quiet")
    assert again.communicate(timeout=200) == (f"{path}\n", "")
    for cell in path.glob("cells/*"):
        assert (cell / "metrics.jsonl").read_text().count("\n") == 8000
        assert (cell / "report.html").is_file()


@pytest.mark.parametrize(
    ("said", "trackers", "kept", "expected"),
    [
        (Workers(), (), None, Split(2, 1)),  # as many as there are cores
        (Workers(number=1), (), None, Split(8, 0)),
        (Workers(together=1), (), None, Split(1, 1)),
        (Workers(), ("csv",), None, Split(8, 0)),  # trackers are of this process
        (Workers("dask"), (), None, Split(8, 0)),
        (Workers(), (), Split(3, 0), Split(3, 0)),  # as the study was begun
        (Workers(together=1), (), Split(3, 0), Split(1, 0)),
        (Workers(number=2), (), Split(3, 0), Split(3, 0)),
    ],
)
def test_how_cells_are_spread(monkeypatch, said, trackers, kept, expected):
    monkeypatch.setattr(workers, "_processes", lambda: 2)
    monkeypatch.setattr(workers, "usable_cores", lambda: [0, 1])
    assert said.split(CELLS, kept, trackers) == expected
