"""Differences along η of a problem where everything is known exactly; float64.

θ is a number that gradient descent draws to the sum of η, so that θ^(i) moves by the share
c_i = 1 − (1 − α)^i of what the sum of η does. Validation samples x = θ + ε, and the outer loss is
θ x + θ³: of the two θ in its expectation the meta-gradient sees one.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.inner import annealing, inner_optimiser
from hessdiag.meta import Start, System, streams
from hessdiag.probes.also.smoothness import RANDOM, Smoothness, directions
from hessdiag.probes.measured import Measured
from hessdiag.probes.settings import ProbeSettings

N, K, H, ALPHA, THETA = 3, 4, 0.2, 0.25, 0.7
C = 1.0 - (1.0 - ALPHA) ** np.arange(1, N + 1)
FEW, MANY = 2, 40


class Drawn:
    """The problem; η has some number of entries."""

    def __init__(self, size: int):
        self.size = size

    def init_eta(self, _):
        return 0.1 * jnp.arange(self.size, dtype=float) / self.size

    def hyper(self, eta):
        return {"target": jnp.sum(eta)}

    def start(self, *_):
        return jnp.asarray(THETA), ()

    def rollout(self, params, _, env_state, key):
        return env_state, params + jax.random.normal(key)

    def inner_loss(self, params, hyper, _):
        return 0.5 * (params - hyper["target"]) ** 2

    def outer_loss(self, params, _, seen):
        return params * seen + params**3


class Aimed(Drawn):
    """It says what its outer loss stands for."""

    def outer_aim(self, *given):
        return given[-1] ** 2


def unheard(_):
    """What is told of progress."""


def measure(problem: Any):
    """The variables, the sum of η, and (K, N) the noise ε of the samples."""
    rate = annealing("constant", ALPHA, 1)
    system = System.of(problem, inner_optimiser("sgd", rate), rate)
    eta = system.init_eta(jax.random.key(0))
    start = Start(system.update.init(jnp.asarray(THETA)), eta, ())
    measured = Measured(
        system=system,
        start=lambda state, _: state,
        n=N,
        settings=ProbeSettings(samples=K, chunk=2),
        cuts={},
        weights={},
        mixing=(),
        headline="",
        memory=None,
    )
    keys = jax.random.split(jax.random.key(3), K)
    smoothness = Smoothness(measured, step=H)
    found = smoothness.measure(start, keys, keys[0], progress=unheard, tell=unheard)
    noise = [[jax.random.normal(k[0]) for k in streams.sources(key, N).validation] for key in keys]
    return smoothness.coords, found, float(eta.sum()), np.array(noise)


@pytest.fixture(scope="module")
def aimed():
    """With what the outer loss stands for, x²."""
    with jax.enable_x64(True):
        return measure(Aimed(FEW))


def path(target):
    """θ^(1) … θ^(N)."""
    return target + (1.0 - C) * (THETA - target)


def same(actual, expected):
    np.testing.assert_allclose(
        actual, np.broadcast_to(expected, actual.shape), rtol=1e-9, atol=1e-13
    )


def test_slopes_on_held_trajectories_differ_from_the_meta_gradient_by_the_cubic_alone(aimed):
    _, found, target, noise = aimed
    theta = path(target)
    gradient = C * (theta + noise.mean(axis=0) + 3 * theta**2)
    same(found["smoothness_gradient"], gradient[:, None])
    same(found["smoothness_slope"][0], (gradient + C**3 * H**2)[:, None])
    same(found["smoothness_slope_wide"][0], (gradient + 4 * C**3 * H**2)[:, None])
    same(found["smoothness_difference"][0], (C**3 * H**2)[:, None])
    same(found["smoothness_curvature"][0], (6 * theta * C**2)[:, None])


def test_on_own_trajectories_they_have_the_path_through_what_is_sampled_too(aimed):
    _, found, target, _ = aimed
    theta = path(target)
    same(found["smoothness_difference"][1], (C * theta + C**3 * H**2)[:, None])
    same(found["smoothness_curvature"][1], (2 * C**2 + 6 * theta * C**2)[:, None])


def test_what_the_outer_loss_stands_for_is_a_response_of_its_own(aimed):
    coords, found, target, noise = aimed
    slope = 2 * C * (path(target) + noise.mean(axis=0))
    same(found["smoothness_slope"][2], slope[:, None])
    assert coords["response"] == ["held trajectories", "own trajectories", "own outcomes"]
    assert coords["eta_direction"] == ["eta[0]", "eta[1]"]


def test_errors_are_of_means_over_samples_and_those_of_differences_are_paired(aimed):
    _, found, _, noise = aimed
    error = 3.182446 * (C * noise).std(axis=0, ddof=1) / np.sqrt(K)
    np.testing.assert_allclose(found["smoothness_gradient_error"][:, 0], error, rtol=1e-6)
    np.testing.assert_allclose(found["smoothness_slope_error"][1, :, 0], error, rtol=1e-6)
    assert np.max(found["smoothness_difference_error"][:2]) < 1e-12


def test_many_entries_are_measured_along_a_few_directions():
    units, names = directions(MANY, ("x",) * MANY)
    assert units.shape == (RANDOM, MANY)
    assert len(set(names)) == RANDOM
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1.0)
    with jax.enable_x64(True):
        coords, found, target, noise = measure(Drawn(MANY))
    theta, moved = path(target), np.outer(C, units.sum(axis=1))  # of θ^(i) along each
    gradient = moved * (theta + noise.mean(axis=0) + 3 * theta**2)[:, None]
    same(found["smoothness_gradient"], gradient)
    same(found["smoothness_difference"][0], moved**3 * H**2)
    assert coords == {
        "response": ["held trajectories", "own trajectories"],
        "eta_direction": names,
    }
