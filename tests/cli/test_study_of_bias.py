"""Studies of bias from the command line: planned, refused, gone on with."""

import re

import pytest
from hessdiag.cli import workers  # pyright: ignore[reportMissingImports]
from hessdiag.cli.workers import Workers  # pyright: ignore[reportMissingImports]

from hessdiag.bias.plan import planned, shipped
from hessdiag.bias.study import said_of
from hessdiag.cores import usable_cores
from hessdiag.record.sweep_directory import SweepDirectory


def test_a_dry_run_lists_its_points_and_what_they_take(cli):
    done = cli("study", "lsf", "--set", "probe.samples=8", "--dry-run")
    assert (done.code, done.err) == (0, "")
    *points, one, two, three, total = done.out.splitlines()
    assert len(points) == 99
    assert total.startswith("99 points, 315 cells, about ")
    for line, name in (
        (one, "samples"),
        (two, "trajectories"),
        (three, "trajectories, derivatives"),
    ):
        assert re.match(rf"{name}: about \d+ (s|min), [\d,]+ MiB", line)


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (("--n", "3"), "--n"),
        (("--seed", "0:3"), "--seed"),
        (("--env", "mrp"), "--env"),
        (("--vary", "n=1,2"), "--vary"),
        (("--together", "2"), "--together"),
        (("--set", "probe.samples=1"), "probe.samples"),
        (("--set", "problem.batch_size=4"), "problem.batch_size"),
    ],
)
def test_other_flags_are_refused(cli, flags, names):
    done = cli("study", "lsf", *flags)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert names in done.err
    assert "allowed" in done.err


EVIL = {"env": "evil:make"}


@pytest.mark.parametrize(
    ("of_sweep", "of_plan"),
    [
        ({"settings": EVIL}, {}),
        ({"vary": {"env": ["bandit", "evil:make"], "problem.batch_size": [4]}}, {}),
        ({"reference": EVIL}, {}),
        ({}, {"changes": EVIL}),
    ],
    ids=["settings", "vary", "reference", "changes"],
)
def test_a_directory_that_names_code_is_not_gone_on_with(cli, tmp_path, of_sweep, of_plan):
    document = shipped("lsf")
    plan = planned(document)
    sweep, *_ = document["sweep"]
    hostile = {**document, **of_plan, "sweep": [{**sweep, **of_sweep}]}
    SweepDirectory.create(tmp_path / "study", hostile, said_of(plan), {}, name="lsf")
    done = cli("study", "--resume", str(tmp_path / "study"))
    assert done.code == 2
    assert "names code" in done.err


def test_a_damaged_plan_is_one_line(cli, tmp_path):
    SweepDirectory.create(tmp_path / "study", {"sweep": [{"name": 3}]}, {}, {}, name="lsf")
    done = cli("study", "--resume", str(tmp_path / "study"))
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert "damaged" in done.err


@pytest.mark.parametrize(
    ("said", "tasks", "kept", "processes"),
    [
        (None, 9, None, (4, 1)),
        (None, 3, None, (3, 1)),
        (None, 1, None, (0, 0)),
        (2, 9, None, (2, 2)),
        (9, 9, None, (4, 1)),
        (1, 9, None, (0, 0)),
        (None, 9, 0, (0, 0)),
        (None, 9, 2, (2, 2)),
        (None, 1, 2, (1, 2)),
        (1, 9, 2, (0, 0)),
    ],
)
def test_points_are_spread_over_cores_as_before_unless_it_is_said(
    monkeypatch, said, tasks, kept, processes
):
    monkeypatch.setattr(workers, "usable_cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(workers, "_processes", lambda: 4)
    assert Workers(number=said).apart(tasks, kept) == processes


def test_a_dry_run_is_timed_in_a_process(cli, tmp_path):
    path, small = tmp_path / "study", ("--set", "probe.samples=8", "--set", "probe.chunk=8")
    done = cli("study", "lsf", *small, "--workers", "2", "--out", path, "--dry-run")
    assert done.code == 0
    assert not path.exists()
    assert "in 2 processes" in done.out or len(usable_cores()) == 1
