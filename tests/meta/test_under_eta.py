"""What another η does to the outer loss, on given trajectories and on its own; float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.meta import all_horizons, held, outer_losses, responses
from tests.meta.conftest import N


@pytest.fixture(scope="module")
def made(adam_mrp):
    """A function of a move of η: the responses, and the outer losses by another way."""
    system, start, key = adam_mrp.system, adam_mrp.start, adam_mrp.key
    seen = held(system, start, key, n=N)

    @jax.jit
    def losses(move):
        eta = start.eta + move
        return (
            responses(system, start, eta, key, seen),
            outer_losses(system, start, eta, key, n=N),
        )

    return losses


def test_what_does_not_depend_on_eta_is_the_same_held_or_not(made, adam_mrp):
    """The rewards of this process are sampled whatever the parameters."""
    for size in (0.0, 0.3):
        found, known = made(jnp.full_like(adam_mrp.eta, size))
        np.testing.assert_allclose(found, np.tile(known, (3, 1)), rtol=1e-12)


def test_differences_on_held_trajectories_come_to_the_meta_gradient_as_the_square_of_h(
    made, adam_mrp
):
    case = adam_mrp
    gradient = jax.jit(lambda start: all_horizons(case.system, start, case.key, n=N))(case.start)

    def error(h):
        moves = h * np.eye(case.eta.size)
        slopes = [(made(move)[0][0] - made(-move)[0][0]) / (2 * h) for move in moves]
        return np.abs(np.transpose(slopes) - gradient).max(axis=1) / np.abs(gradient).max(axis=1)

    far, near = error(0.1), error(0.01)
    assert (near < 2e-4).all()
    np.testing.assert_allclose(far / near, 100.0, rtol=0.1)


def test_a_surrogate_is_followed_by_what_it_stands_for(adam_case):
    """On Snake the reward per step of the unroll's own validation trajectories; else the loss."""
    system, start, key = adam_case.system, adam_case.start, adam_case.key
    found, last = jax.jit(
        lambda eta: [
            outer_losses(system, start, eta, key, n=N, at="all"),
            outer_losses(system, start, eta, key, n=N, at="last"),
        ]
    )(start.eta)
    expected = adam_case.points.outer.value[:, 0]
    if hasattr(system.problem, "outer_aim"):
        rewards = adam_case.seen.validation.transitions.reward
        expected = -rewards.reshape(N, -1).mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(last, found[-1:], rtol=1e-12)
