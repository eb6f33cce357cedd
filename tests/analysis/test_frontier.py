"""The frontier of estimators, from probes whose numbers are written down."""

from typing import Any

import numpy as np
import pytest

from hessdiag.analysis.frontier import frontier_table
from hessdiag.record.schema import described
from tests.analysis.building import answers, of_probes

SAMPLES = 16
NAMES = ("n-step", "last 1", "mix 0.5", "es 0.1")
ROLLOUTS = (4, 4, 6, 8)
UNIT = np.array([1.0, 100.0])  # entries of η have scales of their own


def a_probe(std, bias, *, mean=2.0, error=0.0, unit=UNIT, iteration=1):
    """By candidate, in standard deviations of an n-step estimate."""
    sizes = {
        "mean": np.full(len(NAMES), mean),
        "std": std,
        "bias": bias,
        "bias_error": np.full(len(NAMES), error),
    }
    values = {f"candidate_{name}": np.outer(size, unit) for name, size in sizes.items()}
    values["candidate_rollouts"] = np.array(ROLLOUTS)
    return described(
        values,
        coords={"candidate": list(NAMES), "meta_parameter": ["x", "y"]},
        attrs={"iteration": iteration, "samples": SAMPLES},
    )


STD, BIAS = np.array([1.0, 0.5, 0.6, 2.0]), np.array([0.0, 0.3, -0.1, 0.0])


def at(table: Any, candidate: str, when: str = "all") -> dict:
    (row,) = table[(table["candidate"] == candidate) & (table["when"] == when)].to_dict("records")
    return row


def test_sizes_are_relative_to_one_n_step_estimate_at_equal_rollouts():
    table = frontier_table(of_probes([[a_probe(STD, BIAS)], [a_probe(STD, BIAS, unit=7 * UNIT)]]))
    for place, name in enumerate(NAMES):
        row = at(table, name)
        std = STD[place] * np.sqrt(ROLLOUTS[place] / ROLLOUTS[0])
        assert row["std"] == pytest.approx(std)
        assert row["noise"] == pytest.approx(std)
        assert row["bias"] == pytest.approx(abs(BIAS[place]))
        assert row["rmse"] == pytest.approx(np.hypot(std, BIAS[place]))
        assert row["bias_of_mean"] == pytest.approx(
            abs(BIAS[place]) / np.sqrt(4.0 - 1.0 / SAMPLES), rel=1e-6
        )
        assert row["rollouts"] == ROLLOUTS[place]
        assert (row["count"], row["over"]) == (2, "seeds")


def test_what_sampling_adds_to_a_bias_is_taken_off():
    error = 0.2
    table = frontier_table(of_probes([[a_probe(STD, BIAS, error=error)]] * 2))
    found = at(table, "last 1")
    assert found["bias"] == pytest.approx(np.sqrt(0.3**2 - error**2))
    assert found["bias_floor"] == pytest.approx(error)
    assert at(table, "mix 0.5")["bias"] == 0.0  # less than what sampling adds
    assert at(table, "mix 0.5")["rmse"] == pytest.approx(np.sqrt(0.36 * 1.5))


def test_an_estimator_is_not_better_for_the_noise_of_its_bias():
    """Ends are moved up by as much as the estimate."""
    probes = [[a_probe(STD, bias * BIAS, error=0.5)] for bias in (0.5, 1.5)]
    row = at(frontier_table(of_probes(probes)), "last 1")
    squares = np.array([0.15, 0.45]) ** 2 - 0.25
    assert squares.mean() < 0
    half = 12.706 * squares.std(ddof=1) / np.sqrt(2)  # Student's of two seeds
    assert row["noise"] == pytest.approx(0.5)
    assert row["rmse"] == pytest.approx(0.5)
    assert row["rmse_high"] == pytest.approx(np.sqrt(0.25 + half), rel=1e-3)


def test_averages_are_geometric_for_deviations_and_of_squares_for_errors():
    other = np.array([1.0, 2.0, 0.6, 2.0])
    table = frontier_table(of_probes([[a_probe(STD, BIAS)], [a_probe(other, BIAS)]]))
    row = at(table, "last 1")
    assert row["std"] == pytest.approx(np.sqrt(0.5 * 2.0))
    assert row["noise"] == pytest.approx(np.sqrt((0.25 + 4.0) / 2))
    assert row["rmse"] == pytest.approx(np.hypot(row["noise"], 0.3))
    assert row["std_low"] < row["std"] < row["std_high"]
    assert row["rmse_low"] <= row["rmse"] < row["rmse_high"]


def test_a_mean_that_may_be_zero_has_no_relative_bias():
    table = frontier_table(of_probes([[a_probe(STD, BIAS, mean=0.0)]] * 2))
    assert np.isnan(at(table, "last 1")["bias_of_mean"])
    assert at(table, "last 1")["bias"] == pytest.approx(0.3)


def test_thirds_of_training_stand_apart():
    early, late = a_probe(STD, BIAS), a_probe(2 * STD, BIAS, iteration=7)
    table = frontier_table(of_probes([[early, late]] * 2))
    assert set(table["when"]) == {"early", "late", "all"}
    assert at(table, "last 1", "early")["bias"] == pytest.approx(0.3)
    assert at(table, "last 1", "late")["bias"] == pytest.approx(0.15)


def test_an_entry_that_never_varies_is_left_out():
    still = a_probe(STD, BIAS)
    still["candidate_std"] = still.candidate_std.where(still.meta_parameter == "x", 0.0)
    row = at(frontier_table(of_probes([[still]] * 2)), "last 1")
    assert (row["std"], row["bias"]) == (pytest.approx(0.5), pytest.approx(0.3))
    assert not len(frontier_table(of_probes([[still.drop_vars("candidate_std")]])))


def a_row(candidate: str, rmse: float, half: float = 0.1) -> dict:
    sizes = {"rmse": rmse, "noise": rmse, "bias": 0.0}
    ends = {f"{name}{end}": value + sign * half for name, value in sizes.items() for end, sign in
            (("", 0), ("_low", -1), ("_high", 1))}  # fmt: skip
    return {"candidate": candidate, "rollouts": 4} | ends


@pytest.mark.parametrize(
    ("others", "status", "reason", "best", "number"),
    [
        ({"last 1": 0.5, "mix 0.5": 0.7}, "holds", "nearer", "last 1", 2),
        ({"last 1": 0.95, "mix 0.5": 0.99}, "undecided", "overlaps", "last 1", 0),
        ({"last 1": 1.2, "mix 0.5": 1.5}, "does not hold", "none-nearer", "last 1", 0),
        ({"last 1": np.nan}, "not measured", "", None, None),
        ({}, "not measured", "", None, None),
    ],
)
def test_the_best_is_named_where_its_interval_is_below_one(others, status, reason, best, number):
    rows = [a_row("n-step", 1.0, 0.0), *(a_row(name, rmse) for name, rmse in others.items())]
    made = answers(None, frontier=rows)["frontier"]
    assert (made.status, made.reason) == (status, reason)
    if best:
        assert made.labels["best"] == best
        assert made.numbers["surely_of"].value == number
        assert made.numbers["rmse"].value == others[best]
    assert bool(made.needs) == (status == "undecided")


def test_a_wide_interval_does_not_win():
    rows = [a_row("n-step", 1.0, 0.0), a_row("es 0.1", 0.4, 0.7), a_row("last 1", 0.8)]
    made = answers(None, frontier=rows)["frontier"]
    assert (made.status, made.labels["best"]) == ("holds", "last 1")


def test_nothing_is_measured_without_rows():
    assert answers(None)["frontier"].status == "not measured"
