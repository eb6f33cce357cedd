"""The table and the answer on known numbers."""

import numpy as np
import pytest

from hessdiag.analysis.smoothness import HELD, INNER, OWN, smoothness_table
from hessdiag.record.schema import described
from tests.analysis.building import N, answers, ends, of_probes

HORIZONS = 2


def probe(iteration, slope, gradient, *, error=0.1, apart=0.0, wide=0.0):
    """Of two responses; the entries of the longest horizon are given, of one step all agree."""

    def full(last, first=1.0):
        both = np.stack([np.full_like(last, first), last])
        return np.stack([np.ones_like(both), both])

    slope, gradient = np.asarray(slope, float), np.asarray(gradient, float)
    slopes, gradients = full(slope), full(gradient)[1]
    variables = {
        "smoothness_slope": slopes,
        "smoothness_slope_error": np.full_like(slopes, error),
        "smoothness_slope_wide": slopes + wide,
        "smoothness_gradient": gradients,
        "smoothness_gradient_error": np.full_like(gradients, error),
        "smoothness_difference": np.full_like(slopes, apart),
        "smoothness_difference_error": np.full_like(slopes, 0.01),
    }
    coords = {
        "response": [HELD, OWN],
        "horizon": np.arange(1, HORIZONS + 1),
        "eta_direction": ["x", "y", "z", "w"],
    }
    return described(variables, coords=coords, attrs={"iteration": iteration, "samples": 9})


@pytest.fixture(scope="module")
def table():
    """Of two seeds with two probes each: agree, disagree, undecided, undecided; all agree."""
    mixed = [2.0, 2.0, 0.05, 2.0], [1.0, -1.0, 1.0, 0.05]
    probes = [
        [probe(1, *mixed, apart=0.5, wide=0.2), probe(6, [1.0] * 4, [1.0] * 4, apart=0.1)]
        for _ in range(2)
    ]
    return smoothness_table(of_probes(probes)).set_index(["when", "response", "horizon", "group"])


def test_shares_of_entries_whose_signs_are_sure(table):
    early = table.loc["early", OWN, 2, "all"]
    assert [early[name] for name in ("agree", "disagree", "undecided")] == [0.25, 0.25, 0.5]
    assert (early["agreement"], early["agreement_low"], early["count"]) == (0.5, 0.5, 2)
    assert table.loc["late", OWN, 2, "all"]["agree"] == 1.0
    assert table.loc["all", OWN, 2, "all"]["agree"] == 0.625
    assert table.loc["early", OWN, 1, "all"]["agree"] == 1.0
    held = table.loc["early", HELD, 2, "all"]
    assert [held[name] for name in ("agree", "disagree", "undecided")] == [0.5, 0.25, 0.25]
    assert held["agreement"] == pytest.approx(2 / 3)


def test_errors_are_medians_of_entries_whose_slope_is_sure(table):
    early = table.loc["early", OWN, 2, "all"]
    assert early["error"] == pytest.approx(0.25)
    assert early["bend"] == pytest.approx(0.1)
    assert early["noise"] == pytest.approx(0.005)


def test_groups_have_rows_of_their_own(table):
    assert set(table.index.get_level_values("group")) == {"all", "x"}
    assert table.loc["early", OWN, 2, "x"]["agree"] == 1.0


def test_nothing_measured_is_no_table():
    bare = described({"smoothness_slope": np.ones((1, 1, 1))}, attrs={"iteration": 1, "samples": 2})
    assert not len(smoothness_table(of_probes([[bare]])))


def test_where_no_sign_is_sure_there_are_no_errors():
    zeros = [0.0] * 4
    found = smoothness_table(of_probes([[probe(1, zeros, zeros)], [probe(1, zeros, zeros)]]))
    last = found[(found["horizon"] == 2) & (found["response"] == OWN)]
    np.testing.assert_array_equal(last["undecided"], 1.0)
    for name in ("agreement", "error", "bend"):
        assert np.isnan(last[name]).all()


def row(agreement, half=0.02, response=OWN, **more):
    held = {"response": response, "horizon": N, "group": "all", "undecided": 0.2}
    return held | ends("agreement", agreement, half) | ends("error", 0.1) | more


@pytest.mark.parametrize(
    ("agreement", "half", "status", "reason"),
    [
        (1.0, 0.0, "holds", "agrees"),
        (0.95, 0.02, "holds", "agrees"),
        (0.95, 0.2, "undecided", "overlaps"),
        (0.95, np.nan, "undecided", "overlaps"),
        (0.7, 0.1, "does not hold", "mixed"),
        (0.1, 0.1, "does not hold", "opposite"),
        (np.nan, np.nan, "undecided", "no-signs"),
    ],
)
def test_nearly_all_sure_signs_agree(agreement, half, status, reason):
    made = answers(None, smoothness=[row(agreement, half)])["predictive"]
    assert (made.status, made.reason) == (status, reason)
    assert made.numbers["share_decided"].value == pytest.approx(0.8)


def test_the_answer_is_of_the_longest_horizon_and_of_own_trajectories():
    rows = [
        row(0.1, horizon=1),
        row(0.1, response=HELD),
        row(0.1, response=INNER),
        row(0.1, group="x"),
        row(1.0),
    ]
    assert answers(None, smoothness=rows)["predictive"].status == "holds"
    assert answers(None, smoothness=rows[1:3])["predictive"].status == "not measured"
