"""Rows of the terms of eq. 11, from probes of known content."""

import numpy as np
import pytest
import xarray
from scipy import stats

from hessdiag.analysis.frames import rows as rows_of
from hessdiag.analysis.terms import PRODUCT, term_table
from tests.analysis.building import of_probes

N, M = 3, 2
SEEDS = 3


def probe(factor: float, *, printed: bool = True, iteration: int = 1) -> xarray.Dataset:
    """Sizes that are `factor` times known numbers; the last meta-parameter never varies."""
    covariance = np.zeros((2, N, N, M))
    covariance[-1, :, :, 0] = [[4.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 2.0]]  # sum: 10
    j = np.arange(1.0, N + 1)
    variables = {
        "term_covariance": (("cut_horizon", "inner_step", "other_step", "parameter"), covariance),
        "term_reach": (("cut_horizon", "inner_step"), factor * np.stack([0 * j, j])),
        "outer_norm": (("cut_horizon",), factor * np.array([1.0, 7.0])),
        "mixed_norm": (("inner_step", "parameter"), factor * np.stack([j, 3 * j], axis=1)),
        "term_alignment": (
            ("cut_horizon", "inner_step", "parameter"),
            np.broadcast_to([-0.5, np.nan], (2, N, M)),
        ),
    }
    if printed:
        one = ("operator_unroll", "inner_step", "parameter")
        variables |= {
            "eq11_alignment": (one, np.stack([np.full((N, M), -0.2), np.full((N, M), 0.4)])),
            "eq11_mixed_norm": (one, factor * np.ones((2, N, M))),
            "eq11_outer_norm": (one[:1], factor * np.array([2.0, 4.0])),
            "eq11_product_norm": (one[:2], np.full((2, N), 1.0 + 1e-5 * factor)),
        }
        variables["path_norm"] = (one[:2], factor * np.stack([j, 3 * j]))
        variables["path_alignment"] = (one, np.stack([np.full((N, M), -0.1), np.full((N, M), 0.3)]))
    made = xarray.Dataset(variables, attrs={"iteration": iteration, "samples": 5})
    return made.rename({"parameter": "meta_parameter"})


def rows(probes, **wanted):
    return rows_of(term_table(of_probes(probes, confidence=0.9)), **wanted)


@pytest.fixture(scope="module")
def three():
    return rows([[probe(factor)] for factor in (1.0, 2.0, 4.0)], when="all")


def test_the_last_inner_step_makes_the_first_term(three):
    assert [(row["term"], row["inner_step"]) for row in three] == [(1, 2), (2, 1), (3, 0)]
    assert {row["horizon"] for row in three} == {N}


def test_both_shares_of_all_terms_sum_to_one(three):
    assert [row["variance_share"] for row in three] == pytest.approx([0.2, 0.2, 0.4])
    assert [row["covariance_share"] for row in three] == pytest.approx([0.0, 0.1, 0.1])


def test_sizes_are_averaged_as_logarithms(three):
    expected = stats.t.interval(0.9, 2, loc=np.log(2.0), scale=stats.sem(np.log([1, 2, 4])))
    for name, of_first_term in (
        ("outer_norm", 7.0),
        ("term_reach", 3.0),
        ("mixed_norm", 6.0),
        ("path_norm", 6.0),
        ("eq11_outer_norm", 3.0),
        ("eq11_mixed_norm", 1.0),
    ):
        row = three[0]
        assert row[name] == pytest.approx(2.0 * of_first_term)
        ends = [row[f"{name}_low"], row[f"{name}_high"]]
        assert ends == pytest.approx((of_first_term * np.exp(expected)).tolist())


def test_alignments_count_without_their_sign(three):
    assert three[0]["term_alignment"] == pytest.approx(0.5)
    assert three[0]["eq11_alignment"] == pytest.approx(0.3)


def test_norms_of_products_keep_their_distance_from_one(three):
    logs = np.log1p([1e-5, 2e-5, 4e-5])
    assert three[1][PRODUCT] == pytest.approx(np.expm1(logs.mean()), rel=1e-9)
    assert three[1][f"{PRODUCT}_low"] < three[1][PRODUCT] < three[1][f"{PRODUCT}_high"]


def test_what_was_not_recorded_is_left_out():
    (row, *_) = rows([[probe(1.0, printed=False)]], when="all")
    assert not [name for name in row if name.startswith("eq11")]
    assert "step_share" not in row
    nested = xarray.Dataset(
        {"step_share": (("horizon", "inner_step"), [[0.1, np.nan], [0.2, 0.3]])},
        attrs={"iteration": 1, "samples": 5},
    )
    found = rows([[nested]] * SEEDS, when="all")
    assert [row["step_share"] for row in found] == pytest.approx([0.3, 0.2])
    assert "variance_share" not in found[0]
    assert rows([[xarray.Dataset(attrs={"iteration": 1, "samples": 5})]]) == []


def test_thirds_of_training_have_rows_of_their_own():
    probes = [[probe(1.0), probe(3.0, iteration=7)]] * SEEDS
    for when, factor in (("early", 1.0), ("late", 3.0), ("all", np.sqrt(3.0))):
        (row,) = rows(probes, when=when, term=1)
        assert row["outer_norm"] == pytest.approx(7.0 * factor)
        assert (row["count"], row["over"]) == (SEEDS, "seeds")
