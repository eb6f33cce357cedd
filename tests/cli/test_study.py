"""The study command: plan, run, resume, refuse."""

import shutil

import pytest

TINY = ("--env", "mrp", "--set", "train.iterations=2", "--set", "probe.points=0")


def test_a_small_study_and_its_resumption(cli, tmp_path):
    path = tmp_path / "study"
    done = cli("study", *TINY, "--n", "1", "--seed", "0:2", "--out", path)
    assert done.code == 0
    assert done.out.splitlines()[-1] == str(path)
    assert "[2/2] n=1 seed=1 finished" in done.out
    assert (path / "cells" / "n1-seed1" / "report.html").is_file()
    for name in ("report.html", "results.json", "figures/hyper-parameters.csv"):
        assert (path / name).is_file()
    again = cli("study", "--resume", path)
    assert again.code == 0
    assert again.out.splitlines()[:2] == ["[1/2] n=1 seed=0 finished", "[2/2] n=1 seed=1 finished"]


def test_the_report_of_a_study_is_made_again_with_its_runs_and_without(cli, tmp_path):
    path = tmp_path / "study"
    assert cli("study", *TINY, "--n", "1", "--seed", "0:2", "--out", path, "--quiet").code == 0
    page = (path / "report.html").read_bytes()
    for keep in (True, False):
        if not keep:
            shutil.rmtree(path / "cells")
        (path / "report.html").unlink()
        assert cli("report", path) == (0, f"{path / 'report.html'}\n", "")
        assert (path / "report.html").read_bytes() == page


def test_a_dry_run_lists_the_cells_and_makes_nothing(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli("study", *TINY, "--n", "1,2", "--vary", "problem.batch_size=4,8", "--dry-run")
    assert done.code == 0
    for words in ("n=1 batch_size=4", "n=2 batch_size=8", "MiB", "on this machine"):
        assert words in done.out
    assert list(tmp_path.iterdir()) == []


def test_a_toml_file_varies(cli, tmp_path):
    file = tmp_path / "grid.toml"
    file.write_text(
        'env = "mrp"\n[train]\niterations = 2\n[probe]\npoints = 0\n[vary]\nn = [0, 1]\n'
    )
    done = cli("study", "--config", file, "--out", tmp_path / "study", "--quiet")
    assert done == (0, f"{tmp_path / 'study'}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fig9",), "study 'fig9' is unknown; allowed: mechanism"),
        (("--n", "1,,2"), "--n: '1,,2' is not allowed"),
        (("--n", "x"), "--n: 'x' is not allowed"),
        (("--seed", "a:b"), "--seed: 'a:b' is not allowed; allowed: a:b"),
        (("--vary", "n"), "--vary: 'n' is not allowed; allowed: KEY=V1,V2"),
        (("--n", "1", "--vary", "n=2,3"), "--vary: n is given twice"),
        (("--resume", "x", "--n", "1"), "--resume: a resumed study keeps its grid"),
        (("--resume", "nowhere"), "is no study"),
    ],
)
def test_bad_input_is_one_line(cli, arguments, words):
    done = cli("study", *arguments)
    assert done.code == 2
    assert words in done.err
    assert done.err.count("\n") == 1
