"""A study of bias as people run it: resumed, reported, read again."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from hessdiag.analysis import findings
from hessdiag.bias import executors
from hessdiag.bias.executors import in_processes
from hessdiag.bias.plan import planned
from hessdiag.bias.study import BiasStudy, said_of
from hessdiag.cores import usable_cores
from hessdiag.errors import UsageError
from hessdiag.record.documents import write_document
from hessdiag.record.sweep_directory import SweepDirectory
from hessdiag.report import write_report
from hessdiag.train.interrupt import Interrupted, StopRequest
from tests.bias.test_plan import document

CLAIM = {
    "sweep": "samples",
    "quantity": "variance",
    "where": {"estimator": "score"},
    "says": "noisier",
    "denies": "not noisier",
}


def plan():
    vary = {"estimator": ["score", "lsf"], "problem.batch_size": [4, 16, 64]}
    settings = {"env": "bandit", "n": 1, "probe.samples": 512, "probe.chunk": 512}
    claims = [
        {**CLAIM, "name": "rises", "least": 0.5, "most": 1.5},
        {**CLAIM, "name": "falls", "most": -0.5},
        {**CLAIM, "name": "unknown", "quantity": "bias", "least": 0.0},
    ]
    return planned(document(vary=vary, settings=settings) | {"claim": claims})


class StopAfter(StopRequest):
    """Stops after so many points."""

    def __init__(self, points):
        super().__init__()
        self.points = points

    def check(self):
        if self.points == 0:
            raise Interrupted(2)
        self.points -= 1


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Stopped after two points, and gone on with."""
    path, wanted = tmp_path_factory.mktemp("bias") / "study", plan()
    made = SweepDirectory.create(path, wanted.document, said_of(wanted), {}, name="test")
    heard = []

    def go(stop):
        BiasStudy(made, wanted, stop, lambda *at: heard.append(at), lambda: write_report(path)).go()

    with pytest.raises(Interrupted):
        go(StopAfter(2))
    assert sum(made.measured(slug) is not None for slug in said_of(wanted)) == 2
    assert findings(path).cells["state"].tolist().count("waiting") == 4
    go(StopRequest())
    assert [done for done, _, _ in heard] == [0, 1, 2, 2, 3, 4, 5, 6]
    assert [slug for _, _, slug in heard if slug] == list(said_of(wanted))
    return path


def test_claims_are_decided(directory):
    answers = {a.configuration: a for a in findings(directory).verdict if a.question == "slope"}
    assert answers["rises"].status == "holds"
    assert answers["falls"].status == "does not hold"
    assert answers["unknown"].status == "not measured"  # no bias of an unbiased estimate is known
    assert answers["rises"].numbers["slope"].value == pytest.approx(1.0, abs=0.2)


def test_the_report_reads_the_same_without_the_measurements(directory, tmp_path):
    here = findings(directory)
    for name in ("study.json", "results.json"):
        (tmp_path / name).write_bytes((directory / name).read_bytes())
    alone = findings(tmp_path)
    assert alone.name == here.name
    assert len(alone.verdict) == len(here.verdict)
    ours, theirs = here.tables["errors"], alone.tables["errors"]
    np.testing.assert_allclose(theirs["variance"], ours["variance"], rtol=1e-6)
    page = (directory / "report.html").read_text()
    write_report(tmp_path)
    assert len((tmp_path / "report.html").read_text()) == pytest.approx(len(page), rel=0.02)


def flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file):
    file.write_bytes(b"\x89HDF")


def exchanged(file):
    other = next(each for each in file.parent.glob("*.nc") if each != file)
    shutil.copy(other, file)


def of_another_study(file):
    """With its note, whose digests fit."""
    note = file.with_suffix(".json")
    document = json.loads(note.read_text())
    write_document(note, {**document, "plan": "another"})


def of_another_point(file):
    """With its note."""
    other = next(each for each in file.parent.glob("*.nc") if each != file)
    for suffix in (".nc", ".json"):
        shutil.copy(other.with_suffix(suffix), file.with_suffix(suffix))


def not_planned(file):
    file.rename(file.with_stem("another"))


@pytest.mark.parametrize("damage", [of_another_study, of_another_point, not_planned])
def test_what_another_study_measured_is_refused_and_kept(directory, tmp_path, damage):
    copy = Path(shutil.copytree(directory, tmp_path / "study"))
    damage(SweepDirectory(copy).file(plan().points()[3].slug))
    before = sorted(file.name for file in copy.rglob("*"))
    for read in (findings, SweepDirectory.open):
        with pytest.raises(UsageError, match=r"\.json: damaged"):
            read(copy)
    assert sorted(file.name for file in copy.rglob("*")) == before


@pytest.mark.parametrize("damage", [flipped, cut, exchanged])
def test_a_damaged_point_is_told_and_measured_again(directory, tmp_path, damage):
    copy, wanted = Path(shutil.copytree(directory, tmp_path / "study")), plan()
    made, slug = SweepDirectory(copy), wanted.points()[3].slug
    before = made.measured(slug)
    damage(made.file(slug))
    with pytest.raises(UsageError, match=rf"{slug}\.(nc|json): damaged"):
        findings(copy)
    done, told = [], []
    BiasStudy(
        made,
        wanted,
        StopRequest(),
        lambda *at: done.append(at),
        lambda: None,
        tell=told.append,
    ).go()
    assert [slug for _, _, slug in done] == [None, slug]
    assert len(told) == 1
    after = made.measured(slug)
    assert before is not None
    assert after is not None
    assert after.equals(before)


class StopWhenAsked(StopRequest):
    """Made from outside."""

    def made(self, done, *_):
        if done == 3:
            self.signal_number = 2


def test_processes_measure_the_same_stopped_or_not(directory, tmp_path):
    wanted, usable = plan(), len(usable_cores())
    measured = []
    for name, stop in (("whole", StopRequest()), ("stopped", StopWhenAsked())):
        made = SweepDirectory.create(
            tmp_path / name, wanted.document, said_of(wanted), {}, name="test", cores=1
        )
        executor = in_processes(2, max(1, usable // 2))
        heard = getattr(stop, "made", lambda *_: None)
        study = BiasStudy(made, wanted, stop, heard, lambda: None, executor)
        if name == "stopped":
            with pytest.raises(Interrupted):
                study.go()
            count = sum(made.measured(slug) is not None for slug in said_of(wanted))
            assert 3 <= count <= 4
            stop.signal_number = None
            study = replace(study, observe=lambda *_: None)
        study.go()
        measured.append([made.measured(slug) for slug in said_of(wanted)])
    here = [SweepDirectory(directory).measured(slug) for slug in said_of(wanted)]
    for one, other, alone in zip(*measured, here, strict=True):
        assert one.identical(other)
        xr.testing.assert_allclose(one, alone, rtol=1e-9, atol=1e-12)


def go_in_a_process(path, measured, monkeypatch):
    monkeypatch.setattr(executors, "_measured", measured)
    wanted = plan()
    made = SweepDirectory.create(path, wanted.document, said_of(wanted), {}, name="x")
    executor = in_processes(1, 1)
    BiasStudy(made, wanted, StopRequest(), lambda *_: None, lambda: None, executor).go()
    return made


def lost(*_):
    os._exit(1)


def lost_once(point, _):
    seen = Path(os.environ["HESSDIAG_TEST_SEEN"])
    if not seen.exists() and point.at == 16:
        seen.touch()
        os._exit(1)
    return xr.Dataset({"found": ("sample", np.full(2, point.at))}, attrs={"at": point.at})


def test_processes_that_are_lost_again_and_again_are_one_error(tmp_path, monkeypatch):
    with pytest.raises(OSError, match="were killed 3 times"):
        go_in_a_process(tmp_path / "study", lost, monkeypatch)


def test_a_lost_process_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("HESSDIAG_TEST_SEEN", str(tmp_path / "seen"))
    made = go_in_a_process(tmp_path / "study", lost_once, monkeypatch)
    for point in plan().points():
        measured = made.measured(point.slug)
        assert measured is not None
        assert measured["found"].values.tolist() == [point.at] * 2
