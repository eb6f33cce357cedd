"""A study of bias as people run it: resumed, reported, read again."""

import numpy as np
import pytest

from hessdiag.analysis import findings
from hessdiag.bias.plan import planned
from hessdiag.bias.study import BiasStudy, said_of
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
    assert [done for done, _, _ in heard] == [0, 1, 2, 3, 4, 5, 6]
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


def test_a_damaged_point_is_measured_again(directory):
    made, wanted = SweepDirectory(directory), plan()
    slug = wanted.points()[3].slug
    before = made.measured(slug)
    made.file(slug).write_bytes(b"\x89HDF")
    done = []
    BiasStudy(made, wanted, StopRequest(), lambda *at: done.append(at), lambda: None).go()
    assert len(done) == 2
    after = made.measured(slug)
    assert before is not None
    assert after is not None
    assert after.equals(before)
