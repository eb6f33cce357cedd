"""Twins on a quadratic, whose distances have a closed form; and those that are not apart."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.meta import streams
from hessdiag.meta.streams import run_keys
from hessdiag.probes.also.twins import TWINS, Twins
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.probe import measured_by
from tests.probes.also.conftest import ALPHA, D, N, Quadratic, measured, symmetric
from tests.train.driving import TINY

KEYS = streams.samples(jax.random.key(0), 0, 4)
ETA = np.zeros(1)


def twins(of, state=ETA, keys=KEYS):
    return Twins(of).measure(state, keys, keys[0], progress=lambda _: None, tell=print)


def problem(**more: Any) -> Quadratic:
    ours: dict[str, Any] = {
        "hessian": symmetric(jax.random.key(2)),
        "response": symmetric(jax.random.key(3)),
    }
    return Quadratic(**(ours | more))


def expected(matrix) -> np.ndarray:
    """(samples, n): |(I - alpha M)^i delta| / |delta| of the directions that are drawn."""
    step, logs = np.eye(D) - ALPHA * np.asarray(matrix), []
    for key in KEYS:
        delta = np.asarray(jax.random.normal(streams.twins(key), (D,)))
        along = [np.linalg.matrix_power(step, i) @ delta for i in range(1, N + 1)]
        logs.append(np.log(np.linalg.norm(along, axis=1) / np.linalg.norm(delta)))
    return np.array(logs)


def test_distances_on_a_quadratic():
    """What parts one twin is the Hessian; the other's trajectories follow its parameters, too."""
    made = problem()
    found = twins(measured(made))
    for twin, matrix in enumerate((made.hessian, made.hessian + made.response)):
        logs = expected(matrix)
        np.testing.assert_allclose(found["twin_log_distance"][twin], logs.mean(axis=0), atol=1e-9)
        half = 3.182446 * logs.std(axis=0, ddof=1) / 2  # Student's, of three degrees of freedom
        np.testing.assert_allclose(found["twin_log_distance_error"][twin], half, rtol=1e-5)
    assert found["twin_samples"] == len(KEYS)
    assert found["twin_log_distance"].shape == (len(TWINS), N)


def test_twins_of_updates_without_length_are_left_out():
    """Some rollouts bring nothing, and nothing else moves: what is left keeps its distance."""
    still = np.zeros((D, D))
    found = twins(measured(problem(hessian=still, response=still, idle=0.5)))
    assert 0 < found["twin_samples"] < len(KEYS)
    np.testing.assert_allclose(found["twin_log_distance"], 0, atol=1e-9)
    nothing = twins(measured(problem(hessian=still, response=still, noise=0.0)))
    assert nothing["twin_samples"] == 0
    assert np.isnan(nothing["twin_log_distance"]).all()
    assert np.isnan(nothing["twin_log_distance_error"]).all()


def test_twins_that_rounding_moves_elsewhere_are_left_out():
    """In float32 near 1e5 an update of 0.1 is a few units of rounding long."""
    narrow = {name: np.zeros((D, D), np.float32) for name in ("hessian", "response")}
    for shift, number in ((0.0, len(KEYS)), (1e5, 0)):
        found = twins(measured(problem(**narrow), dtype=jnp.float32, shift=jnp.float32(shift)))
        assert found["twin_samples"] == number


def test_a_twin_that_diverges_leaves_earlier_horizons_known():
    """Distances of 1e77, 1e116, and one whose square overflows."""
    steep = problem(response=1e40 * np.eye(D), hessian=np.zeros((D, D)))
    own = twins(measured(steep))["twin_log_distance"][1]
    np.testing.assert_array_equal(np.isfinite(own), [True, True, False])
    assert own[1] == pytest.approx(2 * np.log(1e39), rel=1e-6)


@pytest.fixture(scope="module")
def of_rewards():
    """The Markov reward process, whose trajectories do not depend on the parameters."""
    settings = resolve(TINY)
    learner, keys = Learner(settings), run_keys(0)
    state = learner.init(keys.init)
    return measured_by(learner, settings), state, streams.samples(keys.probe, 3, 3)


def test_twins_coincide_where_trajectories_do_not_depend_on_parameters(of_rewards):
    of, state, keys = of_rewards
    first, again = twins(of, state, keys), twins(of, state, keys)
    same, own = first["twin_log_distance"]
    assert np.isfinite(same).all()
    np.testing.assert_allclose(same, own, rtol=1e-5, atol=1e-6)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
