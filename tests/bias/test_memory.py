"""Studies of bias fit into memory, or are refused before anything is drawn."""

import pytest

from hessdiag.bias.memory import fitted_plan, processes_that_fit
from hessdiag.bias.plan import planned
from hessdiag.errors import UsageError
from hessdiag.train import room
from tests.bias.test_plan import document

SETTINGS = {"env": "bandit", "n": 1, "probe.samples": 512, "probe.chunk": 512}


def plan(**changes):
    vary = {"estimator": ["score", "lsf"], "problem.batch_size": [4, 64]}
    return planned(document(vary=vary, settings={**SETTINGS, **changes}))


def chunks(of):
    return {cell.settings.probe.chunk for point in of.points() for cell in point.cells}


def test_what_fits_is_as_it_was(monkeypatch):
    monkeypatch.setattr(room, "free_memory", lambda: 2**40)
    wanted = plan()
    assert fitted_plan(wanted) == wanted
    assert processes_that_fit(wanted, 4) == 4


def test_chunks_shrink_and_it_is_told(monkeypatch):
    wanted, told = plan(**{"probe.samples": 2**20, "probe.chunk": 2**20}), []
    monkeypatch.setattr(room, "free_memory", lambda: 3 * 2**28)
    fits = fitted_plan(wanted, tell=told.append)
    (chunk,) = chunks(fits)
    assert chunk < 2**20
    assert "probe.chunk" in told[0]
    assert [point.slug for point in fits.points()] == [point.slug for point in wanted.points()]
    assert processes_that_fit(fits, 4) == 1


def test_what_cannot_fit_is_refused(monkeypatch):
    monkeypatch.setattr(room, "free_memory", lambda: 2**30)
    with pytest.raises(UsageError, match=r"needs at least .* GiB .*; allowed: .*--rollout-length"):
        fitted_plan(plan(**{"env": "ipd", "problem.rollout_length": 10**7}))


def test_more_estimates_than_memory_holds_are_refused(monkeypatch):
    monkeypatch.setattr(room, "free_memory", lambda: 2**30)
    with pytest.raises(UsageError, match=r"needs at least 1[45] GiB"):
        fitted_plan(plan(**{"probe.samples": 10**9}))
