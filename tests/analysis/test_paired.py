"""What one setting changes at the end of training: against a paired t-test, and what is a pair."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from hessdiag.analysis.measured import Configuration
from hessdiag.analysis.paired import paired_table
from tests.analysis.building import of_ends

ENDS = {
    ("a", False): {0: 1.0, 1: 2.0, 2: 4.0},
    ("a", True): {0: 1.5, 1: 2.4, 2: 4.6, 3: 99.0},  # the fourth has no partner
    ("b", False): {0: 10.0, 1: 30.0, 2: 20.0},
    ("b", True): {0: 15.0, 1: 20.0, 2: 20.0},
}
VARIED = ["env", "problem.by_ratio", "seed"]


def configuration(env, by_ratio, ends, state="finished") -> Configuration:
    """Runs of 40 iterations whose return is the end throughout."""
    settings = {"env": env, "problem": {"by_ratio": by_ratio}}
    return of_ends(f"env={env} by_ratio={by_ratio}", settings, ends, state=state)


def pairs(configurations, varied=VARIED):
    table = paired_table(configurations, varied)
    return table[table["series"] == "return"] if len(table) else table


def test_differences_are_those_of_a_paired_t_test():
    table: Any = pairs([configuration(*key, ends) for key, ends in ENDS.items()])
    assert [*table["configuration"]] == ["env=a by_ratio=True", "env=b by_ratio=True"]
    assert {*table["setting"]} == {"problem.by_ratio"}
    for env, row in zip("ab", table.to_dict("records"), strict=True):
        old, new = ENDS[env, False], ENDS[env, True]
        apart = [new[seed] - old[seed] for seed in (0, 1, 2)]
        expected = stats.ttest_1samp(apart, 0.0).confidence_interval(0.95)
        assert (row["value"], row["other"], row["seeds"]) == ("True", "False", 3)
        assert row["difference"] == pytest.approx(np.mean(apart))
        assert row["difference_low"] == pytest.approx(expected.low)
        assert row["difference_high"] == pytest.approx(expected.high)


@pytest.mark.parametrize("state", ["running", "failed"])
def test_what_has_not_finished_has_no_end(state):
    first, second = (configuration("a", held, {0: 1.0, 1: 2.0}, state) for held in (False, True))
    assert not len(pairs([first, second]))


def test_problems_are_not_compared_nor_settings_of_three_values():
    ends = {0: 1.0, 1: 2.0}
    assert not len(pairs([configuration("a", True, ends), configuration("b", True, ends)]))
    three = [configuration("a", held, ends) for held in (0, 1, 2)]
    assert not len(pairs(three))


def test_two_settings_that_differ_at_once_are_no_pair():
    crossed = [configuration("a", False, {0: 1.0}), configuration("b", True, {0: 2.0})]
    assert not len(pairs(crossed))
