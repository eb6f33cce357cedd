"""Doubts are counted, have codes, and can be muted."""

import dataclasses

import numpy as np
import pytest
import xarray

from hessdiag.analysis.checks import CODES, checks
from hessdiag.analysis.frames import frame
from hessdiag.analysis.quality import quality_table
from hessdiag.analysis.tables import NAMES
from tests.analysis.building import PROBES, RUNS, comparisons, of_probes

PAPER = {"when": "all", "operator": "paper, I + H", "quantity": "spectral radius"}


def found(*, muted=(), provenance=None, state="finished", **tables):
    place = {"configuration": "x"}
    frames = {name: frame([row | place for row in tables.get(name, ())]) for name in NAMES}
    cells = frame([{"cell": "a", "state": "finished"}, {"cell": "b", "state": state}])
    made = checks(frames, ["x"], provenance=provenance or {}, cells=cells, muted=muted)
    return {check.code: check for check in made}


def quality(*, converged=1, apart=0.5, growth=2.0):
    """Of two probes, the second with these."""
    probes = [
        xarray.Dataset(
            {
                "growth": (("horizon",), [1.0, value]),
                "converged": (("unroll", "inner_step"), [[1, is_converged]]),
                "matvecs": (("unroll", "inner_step"), [[5, 7]]),
                "start_disagreement": (("unroll", "inner_step"), [[0.1, disagreement]]),
            },
            coords={"horizon": [1, 2]},
            attrs={"iteration": at, "samples": 5},
        )
        for at, is_converged, disagreement, value in (
            (1, 1, 0.5, 2.0),
            (2, converged, apart, growth),
        )
    ]
    return quality_table(of_probes([probes])).to_dict("records")


def test_nothing_is_doubtful_where_nothing_is():
    assert found(quality=quality()) == {}


@pytest.mark.parametrize(
    ("how", "code", "count", "of"),
    [
        ({"converged": 0}, "HD001", 1, 4),
        ({"apart": 1.5}, "HD003", 1, 4),
        ({"growth": np.nan}, "HD006", 1, 2),
    ],
)
def test_what_probes_tell_of_themselves_is_counted(how, code, count, of):
    made = found(quality=quality(**how))
    assert list(made) == [code]
    assert (made[code].count, made[code].of, made[code].configuration) == (count, of, "x")
    assert found(quality=quality(**how), muted=[code]) == {}


def test_a_sign_that_is_not_resolved():
    row = PAPER | {"undecided": 2, "spectra": 9, "largest_error": 1e-4}
    made = found(curvature=[row, PAPER | {"operator": "augmented", "undecided": np.nan}])
    assert dataclasses.astuple(made["HD002"])[2:] == (2, 9, {"largest_error": 1e-4})
    assert found(curvature=[row | {"undecided": 0}]) == {}


@pytest.mark.parametrize(("wide", "times"), [(1.1, None), (1.44, 4.0)])
def test_samples_that_cannot_tell_a_factor(wide, times):
    """An interval of twice the width, in logarithms, takes four times the samples."""
    made = found(comparisons=comparisons([2.0, 3.0, 4.0], wide=wide))
    assert (made == {}) == (times is None)
    if times:
        check = made["HD004"]
        assert (check.count, check.of) == (RUNS * PROBES, RUNS * PROBES)
        assert check.numbers["times_the_samples"] == pytest.approx(times)


@pytest.mark.parametrize(
    ("outcome", "failed"), [(None, 0), ({"passed": True}, 0), ({"passed": False}, 1)]
)
def test_the_compilers_self_test(outcome, failed):
    made = found(provenance={"compiler_self_test": outcome})
    assert (made["HD005"].count if made else 0) == failed


def test_too_few_runs_and_failed_ones():
    rows = [row for row in comparisons([2.0, 3.0, 4.0]) if row["seed"] < 2]
    assert found(comparisons=rows)["HD007"].count == 2
    assert found(state="failed")["HD008"].of == 2


def test_every_code_says_what_it_is_about():
    assert list(CODES) == [f"HD00{k}" for k in range(1, 9)]
