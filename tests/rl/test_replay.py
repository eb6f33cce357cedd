"""The buffer keeps the newest games."""

import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.rl.replay import Replay, added


def numbered(*numbers):
    rounds = jnp.array([[0, number] for number in numbers])
    return rounds, -1.0 * rounds[:, 1:]


@pytest.mark.parametrize(
    ("more", "held"), [((4,), [2, 3, 4]), ((4, 5), [3, 4, 5]), ((4, 5, 6, 7), [5, 6, 7])]
)
def test_the_oldest_go(more, held):
    after = added(Replay(*numbered(1, 2, 3)), *numbered(*more))
    np.testing.assert_array_equal(after.rounds[:, 1], held)
    np.testing.assert_array_equal(after.log_probs[:, 0], -np.array(held))
