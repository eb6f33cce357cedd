import json
import shutil
from pathlib import Path

import pytest
from hessdiag.cli.summary_table import read_summary  # pyright: ignore[reportMissingImports]

from hessdiag.errors import UsageError

REPORTS = Path(__file__).parents[2] / "reports"


def test_show_prints_status_probes_and_finding(cli, whole):
    done = cli("show", whole)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("finished at iteration 6 of 6\n")
    summary = json.loads((whole / "summary.json").read_text())
    assert str(summary["probes"][0]["matvecs"]) in done.out
    words = " ".join(done.out.split())
    assert all(sentence in words for sentence in summary["finding"])


def test_show_tells_what_went_wrong(cli, whole, tmp_path):
    summary = json.loads((whole / "summary.json").read_text())
    changed = summary | {"status": "failed", "message": "NaN in [the] loss"}
    (tmp_path / "summary.json").write_text(json.dumps(changed))
    done = cli("show", tmp_path)
    assert done.out.startswith("failed at iteration 6 of 6\nNaN in [the] loss\n")


def test_show_sums_up_a_study(cli):
    study = REPORTS / "mechanism-mrp"
    done = cli("show", study)
    assert (done.code, done.err) == (0, "")
    results = json.loads((study / "results.json").read_text())
    cells = len(results["cells"])
    assert done.out.startswith(f"{cells} of {cells} cells finished: ")
    words = " ".join(done.out.split())
    for answer in results["answers"]:
        assert answer["question"] in words
        sentences = [one for part in answer["parts"] for one in part["sentences"]]
        assert all(" ".join(sentence.split()) in words for sentence in sentences)


def test_show_says_which_cells_failed_and_what_is_missing(cli, tmp_path):
    study = json.loads((REPORTS / "fig4/study.json").read_text())
    results = json.loads((REPORTS / "fig4/results.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps(study))
    assert cli("show", tmp_path) == (
        2,
        "",
        f"hessdiag: {tmp_path}/results.json: the file is missing\n",
    )
    results["cells"][0]["state"] = "failed"
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert cli("show", tmp_path).out.startswith("14 of 15 cells finished, 1 failed: ")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"status": "finished"}'])
def test_damaged_summary_is_named(tmp_path, content):
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(UsageError, match=rf"{tmp_path}/summary\.json is damaged \("):
        read_summary(tmp_path)


def test_report_is_made_again_from_the_files(cli, whole, tmp_path):
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    assert cli("report", copy) == (0, f"{copy / 'report.html'}\n", "")
    assert (copy / "report.html").is_file()
