"""The study command: plan, run, resume, refuse."""

import json
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from hessdiag.cli import drive, dry_run  # pyright: ignore[reportMissingImports]
from hessdiag.cli.words import duration  # pyright: ignore[reportMissingImports]

from hessdiag.analysis import findings
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.report.words import title
from hessdiag.study.calibration import Estimate
from hessdiag.study.grid import TOGETHER, Grid
from hessdiag.train import room
from hessdiag.train.interrupt import Interrupted

TINY = ("--env", "mrp", "--set", "train.iterations=2", "--set", "probe.points=0")


def test_a_small_study_and_its_resumption(cli, tmp_path):
    path = tmp_path / "study"
    done = cli("study", *TINY, "--n", "1", "--seed", "0:2", "--out", path)
    assert done.code == 0
    assert done.out.splitlines()[-2:] == [str(path / "report.html"), str(path)]
    assert done.out.splitlines()[-3] == title(findings(path)), "the finding"
    assert "[2/2] n=1 seed=1 finished" in done.out
    assert (path / "cells" / "n1-seed1" / "report.html").is_file()
    for name in ("report.html", "results.json", "figures/hyper-parameters.csv"):
        assert (path / name).is_file()
    again = cli("study", "--resume", path)
    assert again.code == 0
    assert again.out.splitlines()[:2] == ["[1/2] n=1 seed=0 finished", "[2/2] n=1 seed=1 finished"]
    assert "resumed" not in json.loads((path / "study.json").read_text()), "nothing was left"
    nowhere = ("--executor", "dask", "--scheduler", "tcp://127.0.0.1:1")
    assert cli("study", "--resume", path, *nowhere).code == 0, "and no worker is asked for"
    _assert_report_is_made_again(cli, path)


def _assert_report_is_made_again(cli, path: Path) -> None:
    """With the runs of the study, and without."""
    page = (path / "report.html").read_bytes()
    for keep in (True, False):
        if not keep:
            shutil.rmtree(path / "cells")
        (path / "report.html").unlink()
        assert cli("report", path) == (0, f"{path / 'report.html'}\n", "")
        assert (path / "report.html").read_bytes() == page


def test_a_dry_run_lists_the_cells_and_makes_nothing(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli("study", *TINY, "--n", "1", "--vary", "problem.batch_size=4,8", "--dry-run")
    assert done.code == 0
    for words in ("n=1 batch_size=4", "n=1 batch_size=8", "MiB", "on this machine"):
        assert words in done.out
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def calibrations(monkeypatch):
    """What is calibrated; nothing is compiled."""
    made = []

    def calibrate(settings, seeds):
        made.append((settings.n, seeds))
        return Estimate(10.0, 100.0 * seeds, 1.0, 2**20 * seeds)

    monkeypatch.setattr(dry_run, "calibrate", calibrate)
    return made


def test_a_dry_run_estimates_each_program_that_groups_of_seeds_train_with(cli, calibrations):
    done = cli("study", *TINY, "--n", "1,2", "--seed", "0:5", "--together", "2", "--dry-run")
    assert done.code == 0
    assert calibrations == [(1, 2), (1, 1), (2, 2), (2, 1)]
    assert done.err.splitlines()[:2] == [
        "calibrating n=1 seed=0, n=1 seed=1",
        "calibrating n=1 seed=4",
    ]
    rows = [
        [text.strip() for text in line.split("│")[1:-1]]
        for line in done.out.splitlines()
        if "n=1 seed" in line
    ]
    assert [(cell, *of_program) for cell, _, _, *of_program in rows] == [
        ("n=1 seed=0", "10 s", "3 min", "1 s", "2 MiB"),
        ("n=1 seed=1", "cached", "together", "1 s", "together"),
        ("n=1 seed=2", "cached", "3 min", "1 s", "2 MiB"),
        ("n=1 seed=3", "cached", "together", "1 s", "together"),
        ("n=1 seed=4", "10 s", "2 min", "1 s", "1 MiB"),
    ]
    assert f"about {duration(4 * 10 + 10 * 100 + 10 * 1)} on this machine" in done.out


def test_a_dry_run_of_a_study_to_go_on_with_is_about_what_is_left(cli, calibrations, tmp_path):
    grid = Grid({"env": "mrp", "n": 1}, {"seed": [0, 1, 2]})
    directory = StudyDirectory.create(tmp_path / "study", grid, {})
    finished = directory.run_path(grid.cells()[1])
    finished.mkdir()
    (finished / "summary.json").write_text('{"status": "finished", "iteration": 200}')
    done = cli("study", "--resume", directory.path, "--dry-run")
    assert calibrations == [(1, 2)]
    assert "2 cells" in done.out
    assert "seed=1" not in done.out


def test_a_dry_run_that_does_not_fit_is_refused_before_it_calibrates(
    cli, calibrations, tmp_path, monkeypatch
):
    """And so is the study; what is named includes the seeds that train as one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(room, "free_memory", lambda: 12 * 2**20)
    wide = (*TINY, "--set", "problem.hidden=300", "--n", "1", "--seed", "0:8")
    for more in (["--dry-run"], []):
        done = cli("study", *wide, *more)
        assert done.code == 2
        assert re.fullmatch(
            r"hessdiag: together \(--together\): 8 needs at least \S+ MiB of memory, and 12 MiB "
            r"are free; allowed: \d or fewer, or problem.hidden \d+ or fewer\n",
            done.err,
        )
    assert calibrations == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def without_reports(monkeypatch):
    """Reports are an empty page: figures take seconds."""

    def write(path):
        (path / "report.html").write_text("")

    monkeypatch.setattr(drive, "write_report", write)


def test_a_report_that_cannot_be_made_is_code_1_and_one_line(cli, tmp_path, monkeypatch):
    def fail(*_):
        raise KeyError("growth")

    path = tmp_path / "study"
    with monkeypatch.context() as patch:
        patch.setattr(drive, "write_report", fail)
        done = cli("study", *TINY, "--n", "1", "--seed", "0", "--out", path, "--quiet")
    assert done.code == 1
    assert done.out == f"{path}\n"
    assert done.err.splitlines() == [
        f"hessdiag: the report of {name} could not be made (KeyError: 'growth')"
        for name in ("the study", "n=1 seed=0", "the study")
    ]
    again = cli("study", "--resume", path, "--quiet")
    assert again == (0, f"{path}\n", "")
    assert (path / "cells" / "n1-seed0" / "report.html").is_file()


class _Stopped:
    """A study that is interrupted at once, and tells how it was made."""

    made: dict

    def __init__(self, *_, **options):
        _Stopped.made = options

    def go(self):
        raise Interrupted(signal.SIGINT)


def test_how_many_seeds_train_together_is_kept_where_a_study_goes_on(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(drive, "Study", _Stopped)
    path = tmp_path / "study"
    for given, number, words in (((), TOGETHER, []), (("--together", 3), 3, ["--together", "3"])):
        done = cli("study", *TINY, "--out", path, *given)
        assert done.code == 130
        assert _Stopped.made["together"] == number
        again = shlex.split(done.err.partition("Go on with: ")[2])
        assert again == ["hessdiag", "study", "--resume", str(path), *words]
        assert cli(*again[1:]).code == 130
        assert _Stopped.made["together"] == number
        (resumed,) = json.loads((path / "study.json").read_text())["resumed"]
        assert "git_revision" in resumed
        shutil.rmtree(path)


@pytest.mark.usefixtures("without_reports")
def test_a_terminal_shows_the_table_of_cells(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    rates = "learning.learning_rate=1e-3,1e30"
    words = (*TINY, "--set", "learning.optimiser=sgd", "--n", "1", "--vary", rates)
    done = cli("study", *words, "--out", tmp_path / "study")
    assert done.code == 1
    assert done.err == "hessdiag: 1 of 2 cells failed\n"
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.out)
    last = text[text.rindex("1 of 2 finished, 1 failed") :]
    assert re.search(r"n=1 learning_rate=0.001 +│ finished", last)
    assert re.search(r"n=1 learning_rate=1e\+30 +│ failed +│ NaN or infinity in", last)


@pytest.mark.usefixtures("without_reports")
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
        (("--seed", "0:99999999999"), "--seed: '0:99999999999' is not allowed; allowed: 10,000 va"),
        (("--seed", "4294967296"), "seed (--seed): 4294967296 is not allowed"),
        (("--n", "1,,2"), "--n: '1,,2' is not allowed"),
        (("--n", "x"), "n (--n): 'x' is not allowed"),
        (("--seed", "a:b"), "seed (--seed): 'a:b' is not allowed; allowed: an integer"),
        (("--set", "probe.samples=1"), "probe.samples (--samples): 1 is not allowed"),
        (("--optimiser", "adam,no.such:thing"), "'no.such:thing' could not be imported"),
        (("--vary", "n"), "--vary: 'n' is not allowed; allowed: KEY=V1,V2"),
        (("--n", "1", "--vary", "n=2,3"), "--vary: n is given twice"),
        (("--resume", "x", "--n", "1"), "--resume: a resumed study keeps its grid"),
        (("--resume", "nowhere"), "nowhere/study.json: missing"),
        (("--together", "0"), "--together: 0 is not allowed; allowed: 1 or more"),
        (("--workers", "0"), "--workers: 0 is not allowed; allowed: 1 or more"),
        (("--workers", "2", "--log", "csv"), "--log: runs on workers tell no tracker"),
        (("--devices", "0"), "--devices: 0 is not allowed; allowed: 1 or more"),
        (("--devices", "99"), "--devices: 99 is not allowed; allowed: 1"),
        (("--precision", "double"), "precision (--precision): 'double' is not allowed"),
        (
            ("--scheduler", "tcp://there:1"),
            "--scheduler: tcp://there:1 is not allowed; allowed: with --executor dask",
        ),
        (
            ("--executor", "dask", "--workers", "0"),
            "--workers: 0 is not allowed; allowed: 1 or more",
        ),
        (
            ("--executor", "dask", "--workers", "2", "--scheduler", "tcp://there:1"),
            "--workers: a scheduler has its own; allowed: one of the two",
        ),
        (("--executor", "dask", "--log", "csv"), "--log: runs on workers tell no tracker"),
        (("--log", "paper"), "'paper' is not one of 'csv'"),
        (("--executor", "slurm"), "'slurm' is not one of 'local', 'dask'"),
        (("--together", "many"), "'many' is not a valid integer"),
    ],
)
def test_bad_input_is_one_line(cli, arguments, words):
    done = cli("study", *arguments)
    assert done.code == 2
    assert words in done.err
    assert done.err.count("\n") == 1
