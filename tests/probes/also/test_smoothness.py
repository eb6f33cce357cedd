"""Differences along η of a problem where everything is known exactly; float64.

θ is a number. Gradient descent draws it to the sum of η, and by half of the inner samples
y = θ + ε to zero. Where y is held, θ^(i) moves by the share c_i = 1 − (1 − α)^i of what the sum of
η does; where y follows θ, by (1 − (1 − 3α/2)^i) / (3/2). Validation samples x = θ + ε, and the
outer loss is θ x + θ³: of the two θ in its expectation the meta-gradient sees one.
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
STEPS = np.arange(1, N + 1)
C = 1.0 - (1.0 - ALPHA) ** STEPS  # how θ^(i) moves with the sum of η, samples held
G = (1.0 - (1.0 - 1.5 * ALPHA) ** STEPS) / 1.5  # the same, samples following
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

    def inner_loss(self, params, hyper, seen):
        return 0.5 * (params - hyper["target"]) ** 2 + 0.5 * params * seen

    def outer_loss(self, params, _, seen):
        return params * seen + params**3


class Aimed(Drawn):
    """It says what its outer loss stands for."""

    def outer_aim(self, *given):
        return given[-1] ** 2


def unheard(_):
    """What is told of progress."""


def measure(problem: Any):
    """The coordinates, the variables, and (K, N) θ and x at 1 … N steps of all samples."""
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
    drawn = [streams.sources(key, N) for key in keys]
    inner, outer = (
        np.array([[jax.random.normal(one) for one in part.ravel()] for part in parts])
        for parts in zip(*drawn, strict=True)
    )
    theta = np.full((K, N + 1), THETA)
    for j in range(N):
        gradient = 1.5 * theta[:, j] + 0.5 * inner[:, j] - float(eta.sum())
        theta[:, j + 1] = theta[:, j] - ALPHA * gradient
    return smoothness.coords, found, theta[:, 1:], theta[:, 1:] + outer


@pytest.fixture(scope="module")
def plain():
    with jax.enable_x64(True):
        return measure(Drawn(FEW))[1:]


@pytest.fixture(scope="module")
def aimed():
    """With what the outer loss stands for, x²."""
    with jax.enable_x64(True):
        return measure(Aimed(FEW))[1:]


def same(actual, samples):
    """Means over samples, the same for both entries of η."""
    expected = np.broadcast_to(np.mean(samples, axis=0)[:, None], actual.shape)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-13)


def test_slopes_on_held_trajectories_differ_from_the_meta_gradient_by_the_cubic_alone(plain):
    found, theta, x = plain
    gradient = C * (x + 3 * theta**2)
    same(found["smoothness_gradient"], gradient)
    same(found["smoothness_slope"][0], gradient + C**3 * H**2)
    same(found["smoothness_slope_wide"][0], gradient + 4 * C**3 * H**2)
    same(found["smoothness_difference"][0], 0 * x + C**3 * H**2)
    same(found["smoothness_curvature"][0], 6 * theta * C**2)


def test_inner_trajectories_of_their_own_change_how_far_parameters_move(plain):
    found, theta, x = plain
    same(found["smoothness_slope"][1], G * (x + 3 * theta**2) + G**3 * H**2)
    same(found["smoothness_curvature"][1], 6 * theta * G**2)


def test_validation_trajectories_of_their_own_have_the_path_through_sampling_too(plain):
    found, theta, x = plain
    same(found["smoothness_slope"][2], G * (x + theta + 3 * theta**2) + G**3 * H**2)
    same(found["smoothness_curvature"][2], (6 * theta + 2) * G**2)


def test_a_surrogate_is_followed_to_first_order_and_what_it_stands_for_in_full(aimed):
    found, theta, x = aimed
    same(found["smoothness_difference"][0], 0 * x)
    same(found["smoothness_curvature"][0], 0 * x)
    same(found["smoothness_slope"][1], G * (x + 3 * theta**2))
    same(found["smoothness_slope"][2], 2 * G * x)
    same(found["smoothness_curvature"][2], 0 * x + 2 * G**2)


def test_errors_are_of_means_over_samples_and_those_of_differences_are_paired(plain):
    found, theta, x = plain

    def error(samples):
        return 3.182446 * samples.std(axis=0, ddof=1) / np.sqrt(K)

    def close(name, samples):
        actual = found[name] if found[name].ndim == 2 else found[name][2]
        np.testing.assert_allclose(actual[:, 0], error(samples), rtol=1e-6)

    gradient, slope = C * (x + 3 * theta**2), G * (x + theta + 3 * theta**2)
    close("smoothness_gradient_error", gradient)
    close("smoothness_slope_error", slope)
    close("smoothness_difference_error", slope - gradient)
    close("smoothness_curvature_error", 6 * theta * G**2)
    assert np.max(found["smoothness_difference_error"][0]) < 1e-12


def test_many_entries_are_measured_along_a_few_directions():
    units, names = directions(MANY, ("x",) * MANY)
    assert units.shape == (RANDOM, MANY)
    assert len(set(names)) == RANDOM
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1.0)
    with jax.enable_x64(True):
        coords, found, theta, x = measure(Drawn(MANY))
    moved = np.outer(C, units.sum(axis=1))  # of θ^(i) along each
    gradient = moved * np.mean(x + 3 * theta**2, axis=0)[:, None]
    np.testing.assert_allclose(found["smoothness_gradient"], gradient, rtol=1e-9, atol=1e-13)
    cubic = moved**3 * H**2
    np.testing.assert_allclose(found["smoothness_difference"][0], cubic, rtol=1e-9, atol=1e-13)
    assert coords["eta_direction"] == names
