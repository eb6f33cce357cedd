"""Studies of bias from the command line: planned, refused, gone on with."""

import re

import pytest

from hessdiag.bias.plan import planned, shipped
from hessdiag.bias.study import said_of
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
