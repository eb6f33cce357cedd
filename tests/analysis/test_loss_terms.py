"""The table of terms of the loss, and what is decided from it, on known numbers."""

import numpy as np
import pytest

from hessdiag.analysis.frames import rows
from hessdiag.analysis.loss_terms import WHOLE, loss_term_table, surely_largest
from hessdiag.record.schema import described
from tests.analysis.building import answers, of_probes

TERMS = ["policy", "critic", "entropy"]


def probe(iteration, shares, error=0.001, **more):
    """One unroll whose terms have these shares of the edge, and ends that follow from them."""
    shares = np.array([shares])
    errors = np.full_like(shares, error)
    values = {
        "loss_term_lowest": -2 * shares,
        "loss_term_lowest_error": 2 * errors,
        "loss_term_highest": 3 * shares,
        "loss_term_highest_error": 3 * errors,
        "loss_term_edge_share": shares,
        "loss_term_edge_share_error": errors,
        "loss_term_trace_share": shares / shares.sum(),
        "loss_term_trace_share_error": errors,
        **more,
    }
    attributes = {"iteration": iteration, "samples": 2}
    return described(values, coords={"loss_term": TERMS}, attrs=attributes)


def whole(lowest, highest, share):
    """Of two unrolls, of which the first has its terms measured, and two inner steps."""
    return {
        "hessian_min": [[lowest, 9.0], [9.0, 9.0]],
        "hessian_max": [[highest, 9.0], [9.0, 9.0]],
        "hessian_min_error": np.full((2, 2), 0.5),
        "hessian_max_error": np.full((2, 2), 0.25),
        "learning_rate": [0.1, 0.2],
        "edge_share": [share],
        "edge_share_error": [0.01],
    }


PROBES = [
    [probe(1, [0.1, 0.3, 0.01], **whole(-1.0, 4.0, 0.4))],
    [
        probe(1, [0.2, 0.5, 0.03], error=0.002, **whole(-2.0, 6.0, 0.6)),
        probe(7, [0.6, 0.2, 0.02], **whole(-3.0, 8.0, 0.7)),
    ],
]


def test_a_row_is_the_median_with_the_largest_bound_by_third_of_training():
    found = rows(loss_term_table(of_probes(PROBES)))
    assert [row["when"] for row in found] == ["early"] * 4 + ["late"] * 4 + ["all"] * 4
    early = {row["term"]: row for row in found if row["when"] == "early"}
    assert list(early) == [*TERMS, WHOLE]
    critic = early["critic"]
    assert critic["lowest"] == pytest.approx(-2 * 0.4)
    assert critic["highest"] == pytest.approx(3 * 0.4)
    assert critic["highest_error"] == pytest.approx(3 * 0.002)
    assert critic["edge_share"] == pytest.approx(0.4)
    assert critic["trace_share"] == pytest.approx((0.3 / 0.41 + 0.5 / 0.73) / 2)
    assert (critic["surely_nearest"], critic["spectra"]) == (2, 2)
    every = {row["term"]: row for row in found if row["when"] == "all"}
    assert [every[term]["surely_nearest"] for term in TERMS] == [1, 2, 0]


def test_the_whole_loss_stands_beside_its_terms():
    """At the same inner steps: the first of the unrolls whose terms are measured."""
    found = loss_term_table(of_probes(PROBES))
    (row,) = rows(found, when="early", term=WHOLE)
    assert row["lowest"] == pytest.approx(0.1 * -1.5)
    assert row["lowest_error"] == pytest.approx(0.1 * 0.5)
    assert row["highest"] == pytest.approx(0.1 * 5.0)
    assert row["edge_share"] == pytest.approx(0.5)


def test_it_is_empty_where_terms_are_not_measured():
    bare = [[described({"learning_rate": [0.1]}, attrs={"iteration": 1, "samples": 2})]]
    assert len(loss_term_table(of_probes(bare))) == 0


def test_the_largest_is_sure_by_the_bounds_of_all():
    values = np.array([[0.5, 0.3, 0.1], [0.5, 0.45, 0.1], [0.5, np.nan, 0.1]])
    errors = np.full((3, 3), 0.05)
    expected = [[True, False, False], [False] * 3, [False] * 3]
    np.testing.assert_array_equal(surely_largest(values, errors), expected)


def term(name, share, surely, spectra=4):
    place = {"term": name, "edge_share": share, "edge_share_error": 0.01}
    return place | {"surely_nearest": surely, "spectra": spectra}


@pytest.mark.parametrize(
    ("critic", "policy", "status", "reason", "nearest"),
    [
        ((0.4, 4), (0.1, 0), "holds", "nearest", "critic"),
        ((0.4, 3), (0.1, 0), "undecided", "overlaps", "critic"),
        ((0.4, 0), (0.1, 0), "undecided", "overlaps", "critic"),
        ((0.4, 1), (0.1, 3), "does not hold", "changes", "policy"),
        ((0.4, 1), (0.1, 1), "does not hold", "changes", "critic"),
        ((np.nan, 0), (np.nan, 0), "not measured", "", None),
    ],
)
def test_a_term_is_nearest_to_the_edge_where_bounds_part_at_every_probe(
    critic, policy, status, reason, nearest
):
    table = [term("policy", *policy), term("critic", *critic)]
    table.append({"term": WHOLE, "edge_share": 0.9, "edge_share_error": 0.01, "spectra": 4})
    made = answers(None, **{"loss terms": table})["loss-term"]
    assert (made.status, made.reason, made.labels.get("nearest")) == (status, reason, nearest)
    if nearest == "critic":
        share = made.numbers["share"]
        assert (share.value, share.low, share.high) == pytest.approx((0.4, 0.39, 0.41))
        assert made.numbers["share_next"].value == 0.1
    assert answers(None)["loss-term"].status == "not measured"
