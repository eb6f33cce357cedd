"""Measured points: estimates with the exact meta-gradient beside them."""

from typing import Any

import jax
import numpy as np
import pytest
from scipy.stats import binom

from hessdiag.bias import measure
from hessdiag.bias.measure import Measurer
from hessdiag.bias.plan import planned
from hessdiag.bias.reference import enumerated
from hessdiag.errors import UsageError
from tests.bias.test_plan import document


def points(reference: Any = "enumerated", size=6, **settings):
    given = {"env": "bandit", "n": 1, "probe.samples": 64, "probe.chunk": 32, **settings}
    vary = {"estimator": ["n-step"], "problem.batch_size": [size], "seed": [0, 1]}
    plan = planned(document(reference=reference, settings=given, vary=vary))
    (point,) = plan.points()
    return point, plan.sweep_of(point)


@pytest.fixture(scope="module")
def dataset():
    return Measurer()(*points())


def test_the_enumerated_reference_is_the_gradient_of_the_expectation(dataset):
    """By differences of a sum over binomial outcomes, in plain numpy."""

    def expected(theta):
        def sigma(x):
            return 1 / (1 + np.exp(-x))

        k, p = np.arange(7), sigma(theta)
        after = theta + 5.0 * (k * (1 - p) - (6 - k) * p * 0.5) / 6
        return binom.pmf(k, 6, p) @ -(sigma(after) + 0.5 * (1 - sigma(after)))

    slope = (expected(-0.5 + 1e-5) - expected(-0.5 - 1e-5)) / 2e-5
    np.testing.assert_allclose(dataset["exact"].values, slope, rtol=1e-8)


def test_estimates_are_as_many_as_wanted_in_double_precision(dataset):
    assert dataset["meta_gradient"].shape == (2, 64, 1)
    assert dataset["meta_gradient"].dtype == np.float64
    of_seeds = dataset["meta_gradient"].values[..., 0]
    assert not np.array_equal(*of_seeds)
    assert not jax.config.jax_enable_x64  # what was set stays set


def test_two_updates_ahead_are_enumerated_too():
    point, sweep = points(n=2, size=3)
    exact = Measurer()(point, sweep)["exact"].values
    one = Measurer()(*points(size=3))["exact"].values
    assert np.isfinite(exact).all()
    assert np.abs(exact - one).min() > 1e-3


def test_settings_that_sample_are_no_reference():
    with pytest.raises(UsageError, match="reference: these settings sample"):
        Measurer()(*points(reference={"estimator": "n-step"}))


def test_problems_without_outcomes_cannot_be_enumerated():
    with pytest.raises(UsageError, match="no outcomes"):
        Measurer()(*points(env="mrp"))


def variance(buffer):
    """Of a meta-gradient whose update alone is sampled, from that many games kept."""
    settings = {
        "env": "ipd",
        "problem.inner": "dice",
        "problem.hessian": "exact",
        "problem.outer": "exact",
        "problem.rollout_length": 5,
        "problem.buffer_size": buffer,
        "problem.off_policy": "inner",
        "learning.learning_rate": 0.01,  # where the meta-gradient is linear in the update
        "probe.samples": 256,
        "probe.chunk": 64,
    }
    point, sweep = points({"problem.inner": "exact", "problem.buffer_size": 0}, 1, **settings)
    return Measurer()(point, sweep)["meta_gradient"].values.var(axis=1).sum()


def test_what_is_carried_is_drawn_anew_for_every_estimate():
    """20 times the games; of 40 only 2 are new: were the others shared, it would be 400 times."""
    assert 10 < variance(2) / variance(40) < 40


TINY = {
    "env": "tabular-maml",
    "problem.states": 2,
    "problem.actions": 2,
    "problem.rollout_length": 2,
    "problem.concentration": 1e-5,
    "problem.critic_noise": 0.0,
    "problem.outer": "exact",
    "probe.samples": 4,
    "probe.chunk": 4,
}


def test_the_enumerated_reference_takes_settings_of_its_own_and_is_made_once(monkeypatch):
    """However the update is differentiated, what it does is what depends on η."""
    made = []

    def counted(*arguments):
        made.append(arguments)
        return enumerated(*arguments)

    monkeypatch.setattr(measure, "enumerated", counted)
    vary = {"problem.hessian": ["same", "lvc"], "estimator": ["n-step", "lsf"]}
    vary |= {"problem.batch_size": [3], "problem.mdp_seed": [0, 1]}
    exact: dict[tuple[bool, str], list] = {}
    for is_own in (True, False):
        reference = {"enumerated": True} | ({"problem.hessian": "same"} if is_own else {})
        of = {"reference": reference, "replicates": "problem.mdp_seed"}
        plan, measurer = planned(document(settings=TINY | {"n": 1}, vary=vary, **of)), Measurer()
        for point in plan.points():
            found = measurer(point, plan.sweep_of(point))["exact"].values
            exact.setdefault((is_own, point.curve["problem.hessian"]), []).append(found)
        assert len(made) == (2 if is_own else 2 + 4)  # two processes, of one derivative or of two
    for found in exact.values():
        np.testing.assert_array_equal(*found)  # of both estimators
    own, others = exact[True, "lvc"][0], exact[False, "lvc"][0]
    np.testing.assert_array_equal(own, exact[True, "same"][0])
    assert np.abs(own - others).max() > 1e-3 * np.abs(own).max()
