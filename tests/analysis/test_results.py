"""Findings of runs, of studies, and of studies whose runs are gone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hessdiag.analysis import findings, to_document
from hessdiag.analysis.results import concluded
from hessdiag.errors import UsageError
from hessdiag.record.documents import as_written
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.train.launch import OUR_CHOICES
from tests.analysis.conftest import GRID

SHARED = ("name", "confidence", "configurations", "varied", "settings", "choices", "scale")


@pytest.fixture(scope="module")
def written(study, found, tmp_path_factory) -> Path:
    """The study with its results alone."""
    path = tmp_path_factory.mktemp("written")
    shutil.copy(study.path / "study.json", path)
    StudyDirectory(path).write_results(to_document(found))
    return path


def test_a_study_without_its_runs_is_read_from_its_results(written, found):
    again = findings(written)
    for name in SHARED:
        assert as_written(getattr(again, name)) == as_written(getattr(found, name))
    for name, table in found.tables.items():
        columns = list(again.tables[name])
        assert set(columns) <= set(table)
        assert table.drop(columns=columns).isna().to_numpy().all()
        pd.testing.assert_frame_equal(
            again.tables[name], table[columns], check_dtype=False, rtol=1e-5
        )
    assert [(a.question, a.configuration, a.status, a.reason) for a in again.verdict] == [
        (a.question, a.configuration, a.status, a.reason) for a in found.verdict
    ]
    assert [check.code for check in again.checks] == [check.code for check in found.checks]
    assert not again.probes
    assert not again.metrics


def test_results_that_are_written_again_are_the_same(written, tmp_path):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    StudyDirectory(tmp_path).write_results(to_document(findings(written)))
    one, other = (json.loads((at / "results.json").read_text()) for at in (written, tmp_path))
    assert one["tables"] == other["tables"]
    assert [a["status"] for a in one["verdict"]] == [a["status"] for a in other["verdict"]]


def test_what_was_chosen_and_set_is_told_once(found):
    assert set(OUR_CHOICES) <= set(found.choices)
    assert len(set(found.choices)) == len(found.choices)
    assert found.settings["learning.optimiser"] == ["adam", "sgd"]
    assert found.settings["probe.resamples"] == [100]
    assert found.about["headline"] in set(found.tables["learning"]["series"])
    assert found.scale == {
        "iterations": [8],
        "seeds": 3,
        "samples": [5],
        "points": [2],
        "monte_carlo": [1],
    }


def test_every_cell_is_listed_with_what_it_measured(found):
    assert found.cells["cell"].tolist() == [cell.name for cell in GRID.cells()]
    assert set(found.cells["state"]) == {"finished"}
    assert found.probes.keys() == found.metrics.keys() == set(found.cells["cell"])
    assert {len(probes) for probes in found.probes.values()} == {2}
    assert "meta_gradient" not in found.probes["optimiser=adam seed=0"][0]


def test_every_configuration_is_asked_every_question(found):
    asked = {}
    for answer in found.verdict:
        asked.setdefault(answer.configuration, []).append(answer.question)
    assert list(asked) == ["optimiser=adam", "optimiser=sgd"]
    assert len(asked["optimiser=adam"]) == len(set(asked["optimiser=adam"])) == 19
    assert asked["optimiser=adam"] == asked["optimiser=sgd"]


def with_the_first_cell(study, into: Path) -> Path:
    """A copy of the study in which nothing else has begun."""
    others = [cell.slug for cell in GRID.cells()[1:]]
    return Path(shutil.copytree(study.path, into, ignore=shutil.ignore_patterns(*others)))


def test_every_cell_tells_which_revisions_made_it(study, tmp_path):
    """A study may be gone on with by another revision than it began with."""
    copy = with_the_first_cell(study, tmp_path / "copy")
    config = copy / "cells" / GRID.cells()[0].slug / "config.json"
    document = json.loads(config.read_text())
    document["provenance"]["git_revision"] = "aaaaaaaaaaaa"
    del document["sha256"]  # it is edited
    document["resumed"] = [{"git_revision": one} for one in ("bbbbbbbbbbbb", None, "aaaaaaaaaaaa")]
    config.write_text(json.dumps(document))
    assert findings(copy).cells["revisions"].tolist()[0] == ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]


def test_cells_that_have_not_begun_are_waiting(study, tmp_path):
    copy = with_the_first_cell(study, tmp_path / "copy")
    cells = findings(copy).cells
    assert cells["state"].tolist() == ["finished"] + ["waiting"] * 5
    shutil.rmtree(copy / "cells" / GRID.cells()[0].slug)
    empty = findings(copy)
    assert set(empty.cells["state"]) == {"waiting"}
    assert {answer.status for answer in empty.verdict} == {"not measured"}


def test_a_run_is_a_study_of_one_cell(study, found):
    cell = GRID.cells()[1]
    run = findings(study.run_path(cell))
    assert (run.kind, run.configurations, run.varied) == ("run", ("",), ())
    assert list(run.probes) == run.cells["cell"].tolist() == [cell.slug]
    own = run.tables["comparisons"].drop(columns="configuration").reset_index(drop=True)
    place = (found.tables["comparisons"]["configuration"] == "optimiser=adam") & (
        found.tables["comparisons"]["seed"] == 1
    )
    rows = found.tables["comparisons"][place].drop(columns="configuration").reset_index(drop=True)
    order = ["estimator", "explanation", "iteration", "horizon"]
    pd.testing.assert_frame_equal(
        own.sort_values(order, ignore_index=True), rows.sort_values(order, ignore_index=True)
    )
    assert set(run.tables["spread"]["over"]) == {"probes"}
    assert "HD007" in [check.code for check in run.checks]
    assert "HD007" not in [check.code for check in concluded(run, muted=["HD007"]).checks]


def test_metrics_have_a_column_for_each_number(found):
    metrics = found.metrics["optimiser=sgd seed=2"]
    assert metrics["iteration"].tolist() == list(range(8))
    assert np.isfinite(metrics[["inner_loss", "hyper.gamma_0", "eta.gamma_9"]].to_numpy()).all()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("results.json", None, "missing"),
        ("results.json", "{", "damaged"),
        ("results.json", "[]", "damaged .a JSON object is expected, not list"),
        ("results.json", '{"format_version": 9}', "format version 9"),
        ("results.json", '{"format_version": 2}', "damaged .it has no tables"),
    ],
)
def test_what_cannot_be_read_is_refused(written, tmp_path, name, text, words):
    copy = Path(shutil.copytree(written, tmp_path / "copy"))
    (copy / name).unlink()
    if text is not None:
        (copy / name).write_text(text)
    with pytest.raises(UsageError, match=rf"^{copy / name}: {words}"):
        findings(copy)


def test_the_results_of_another_study_are_refused(written, tmp_path):
    copy = Path(shutil.copytree(written, tmp_path / "copy"))
    document = json.loads((copy / "results.json").read_text())
    other = {"command": "hessdiag study", "created": "another day"}
    StudyDirectory(copy).write_results(document | {"provenance": other})
    with pytest.raises(
        UsageError, match=rf"^{copy / 'results.json'}: damaged \((command|created) is"
    ):
        findings(copy)


def test_what_is_neither_is_refused(tmp_path):
    with pytest.raises(UsageError, match=rf"^{tmp_path}: neither a run nor a study"):
        findings(tmp_path)


@pytest.mark.parametrize("names", ["n=1", [1], {"n=1": 1}, None])
def test_configurations_that_are_no_list_of_names_are_refused(written, tmp_path, names):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    document = json.loads((tmp_path / "results.json").read_text())
    StudyDirectory(tmp_path).write_results(document | {"configurations": names})
    with pytest.raises(UsageError, match="no list of texts"):
        findings(tmp_path)
