"""Ends of variants against a paired t-test; their noise; and what is decided of them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hessdiag.analysis.measured import Configuration
from hessdiag.analysis.variants import variant_table
from tests.analysis.building import of_ends
from tests.analysis.test_verdict import answers

ENDS = {
    "n-step": {0: 1.0, 1: 2.0, 2: 4.0},
    "no-memory": {0: 1.5, 1: 2.4, 2: 4.6, 3: 99.0},  # the fourth has no partner
    "running": {0: 7.0},
}


def configuration(variant, ends) -> Configuration:
    """Runs of 40 iterations whose return is the end throughout."""
    settings = {"variant": variant, "train": {"iterations": 40}}
    state = "running" if variant == "running" else "finished"
    return of_ends(f"variant={variant}", settings, ends, state=state)


FRONTIER = pd.DataFrame(
    [
        {"configuration": f"variant={of}", "when": when, "candidate": "no-memory"}
        | {"std": 0.5 + change, "std_low": 0.4, "std_high": 0.6}
        for of, when, change in (("n-step", "all", 0), ("n-step", "late", 1), ("other", "all", 2))
    ]
)


@pytest.fixture(scope="module")
def table() -> Any:
    configurations = [configuration(*held) for held in ENDS.items()]
    return variant_table(configurations, ["variant", "seed"], FRONTIER).set_index("variant")


def test_differences_to_the_first_are_those_of_a_paired_t_test(table):
    apart = [ENDS["no-memory"][seed] - ENDS["n-step"][seed] for seed in (0, 1, 2)]
    expected = stats.ttest_1samp(apart, 0.0).confidence_interval(0.95)
    row = table.loc["no-memory"]
    assert row["difference"] == pytest.approx(np.mean(apart))
    assert row["difference_low"] == pytest.approx(expected.low)
    assert row["difference_high"] == pytest.approx(expected.high)
    assert row["count"] == 3
    assert table.loc["n-step", "final"] == pytest.approx(7 / 3)
    assert np.isnan(table.loc["n-step", "difference"])
    assert np.isnan(table.loc["running", "difference"])


def test_noise_is_that_of_the_estimator_of_its_name_along_the_first_variant(table):
    assert table.loc["no-memory", "noise"] == 0.5
    assert (table.loc["no-memory", "noise_low"], table.loc["no-memory", "noise_high"]) == (0.4, 0.6)
    assert table["noise"].isna().sum() == 2


def test_nothing_is_compared_where_nothing_is_called_a_variant():
    configurations = [configuration(*held) for held in ENDS.items()]
    assert not len(variant_table(configurations, ["n", "seed"], FRONTIER))
    assert not len(variant_table(configurations[:1], ["variant", "seed"], FRONTIER))


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(0.1, 0.9, "holds"), (-0.9, -0.1, "does not hold"), (-0.2, 0.4, "undecided")],
)
def test_a_remedy_is_decided_by_its_interval(low, high, status):
    row = {"difference": (low + high) / 2, "difference_low": low, "difference_high": high}
    assert answers(variants=[row | {"count": 3}])["remedy"].status == status
    assert answers(variants=[{"final": 3.0}])["remedy"].status == "not measured"
