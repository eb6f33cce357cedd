import json
import shutil
from pathlib import Path

import pytest

from hessdiag.record.digests import sealed

REPORTS = Path(__file__).parents[2] / "reports"
STUDIES = sorted(path.parent.name for path in REPORTS.glob("*/report.html"))


@pytest.mark.parametrize("name", STUDIES)
def test_show_prints_one_screen(cli, name):
    done = cli("show", REPORTS / name)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert 4 <= len(lines) <= 25
    assert lines[0].startswith("hessdiag ")


def test_show_tells_the_growth_and_what_is_left_without_each_path(cli):
    screen = cli("show", REPORTS / "mechanism").out
    for number in ("8.0×", "8.7×", "2.9×", "5.0×"):
        assert number in screen


def test_full_adds_every_table(cli):
    done = cli("show", REPORTS / "mechanism", "--full").out.splitlines()
    assert len(done) > 100
    assert done[:10] == cli("show", REPORTS / "mechanism").out.splitlines()[:10]


def test_json_is_for_machines(cli):
    document = json.loads(cli("show", REPORTS / "mechanism", "--json").out)
    assert document["name"] == "mechanism"
    rows = document["tables"]["spread"]
    (row,) = [
        row
        for row in rows
        if (row["configuration"], row.get("when"), row["estimator"], row["group"], row["horizon"])
        == ("optimiser=adam", "all", "n-step", "all", 5)
    ]
    assert row["growth"] == pytest.approx(7.96, abs=0.01)
    assert all({"question", "status", "numbers"} <= set(answer) for answer in document["verdict"])


def test_show_says_which_runs_failed(cli, tmp_path):
    copy = Path(shutil.copytree(REPORTS / "fig4", tmp_path / "fig4"))
    results = json.loads((copy / "results.json").read_text())
    results["cells"][0] |= {"state": "failed", "message": "NaN in [the] loss"}
    (copy / "results.json").write_text(json.dumps(sealed(results)))
    screen = cli("show", copy).out
    assert "NaN in [the] loss" in screen
    assert "1 of 15" in screen


def test_report_is_made_again_from_the_files(cli, whole, tmp_path):
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    assert cli("report", copy) == (0, f"{copy / 'report.html'}\n", "")
    assert (copy / "report.html").is_file()
