"""A directory from elsewhere has nothing imported that the command line does not name."""

import sys

import pytest

from tests.cli.arguments import tiny_run

MODULE = """
from pathlib import Path
from hessdiag.problems.mrp import MarkovRewardProcess as Mine

Path("imported").touch()
"""


@pytest.fixture
def run(cli, tmp_path, monkeypatch):
    """A finished run of somebody's own problem, whose module is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "mine.py").write_text(MODULE)
    done = cli(*tiny_run(env="mine:Mine", probe__at=[1]), "--quiet", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    del sys.modules["mine"]
    (tmp_path / "imported").unlink()
    yield tmp_path / "run"
    sys.modules.pop("mine", None)


@pytest.mark.usefixtures("without_report")
def test_a_problem_is_imported_only_where_it_is_named_again(cli, run):
    imported = run.parent / "imported"
    for command in (("run", "--resume", run), ("show", run), ("watch", run)):
        done = cli(*command)
        assert (done.code, not imported.exists()) == (2 if "--resume" in command else 0, True)
    refused = cli("run", "--resume", run)
    assert "--env mine:Mine" in refused.err
    assert refused.err.count("\n") == 1
    assert cli("run", "--resume", run, "--env", "other:Mine").code == 2
    assert not imported.exists()
    assert cli("run", "--resume", run, "--env", "mine:Mine", "--quiet").code == 0


def test_so_it_is_with_studies(cli, tmp_path, monkeypatch):
    from hessdiag.record.documents import write_document
    from hessdiag.record.study_directory import StudyDirectory
    from hessdiag.study.grid import Grid

    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    grid = Grid({"env": "mrp", "n": 1}, {"seed": [0]})
    study = StudyDirectory.create(tmp_path / "study", grid, {})
    stranger = study.document | {"common": {"env": "os:system", "n": 1}}
    write_document(study.path / "study.json", stranger)
    refused = cli("study", "--resume", study.path)
    assert (refused.code, "--env os:system" in refused.err) == (2, True)
