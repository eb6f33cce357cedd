import shutil
from pathlib import Path

import pytest

from hessdiag.record.documents import last_record
from hessdiag.record.run_directory import RunDirectory
from tests.train.driving import TINY

REPORTS = Path(__file__).parents[2] / "reports"


def test_a_finished_run_is_shown_at_once(cli, whole):
    code, printed, _ = cli("watch", whole)
    lines = printed.splitlines()
    assert code == 0
    assert [line.startswith("probe at iteration 3") for line in lines[:2]] == [True, False]
    assert lines[1].startswith(f"finished {TINY['train.iterations']}/{TINY['train.iterations']}")
    assert len(lines) > 4


def test_it_goes_on_until_the_run_has_ended(cli, whole, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    directory = RunDirectory(run)
    ended = directory.summary()
    directory.write_json("summary.json", ended | {"status": "running", "probes": []})
    looks = []

    def sleep(_):
        looks.append(None)
        if len(looks) == 3:
            directory.write_json("summary.json", ended)

    monkeypatch.setattr("time.sleep", sleep)
    code, printed, _ = cli("watch", run)
    assert (code, len(looks)) == (0, 3)
    assert printed.startswith("running")
    assert printed.count("probe at iteration 3") == 1


@pytest.mark.parametrize("what", ["nothing", "folder"])
def test_what_is_neither_is_refused_in_one_line(cli, tmp_path, what):
    (tmp_path / "folder").mkdir()
    code, _, complaint = cli("watch", tmp_path / what)
    assert (code, complaint.count("\n")) == (2, 1)


def test_the_last_whole_line_is_the_last_record(tmp_path):
    file = tmp_path / "lines.jsonl"
    assert last_record(file) == {}
    lines = "".join(f'{{"iteration": {number}}}\n' for number in range(300_000))
    file.write_text(lines + '{"iteration": 30')
    assert last_record(file) == {"iteration": 299_999}
