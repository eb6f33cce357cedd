"""The real Jumanji Snake, batched (Bonnet et al. 2021, sections 3.1 and B.2)."""

from typing import Any

import jax
import numpy as np
import pytest
from jumanji.environments.routing.snake.env import Snake as SnakeEnvironment

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.problems.snake import Snake

PROBLEM = problems.make("snake", {"rows": 4, "cols": 5, "batch_size": 3, "rollout_length": 40})


@pytest.fixture(scope="module")
def played():
    params, env_state = PROBLEM.start(None, jax.random.key(0))
    rollout = jax.jit(PROBLEM.rollout)
    middle, first = rollout(params, None, env_state, jax.random.key(1))
    _, second = rollout(params, None, middle, jax.random.key(2))
    return params, env_state, jax.device_get(first), jax.device_get(second)


def test_settings_are_the_papers():
    default = Snake()
    environment: Any = default.environment.unwrapped
    assert (environment.num_rows, environment.num_cols) == (12, 12)
    assert environment.time_limit == 5000
    assert (default.outer_gamma, default.outer_lambda) == (0.99, 0.99)
    assert [(p.name, p.start) for p in default.meta_parameters] == [
        ("gamma", 0.99),
        ("lambda", 0.99),
        ("c_crit", 0.5),
        ("c_entr", 0.01),
    ]
    learning = default.learning
    assert (learning.optimiser, learning.learning_rate, learning.schedule) == (
        "adam",
        6e-4,
        "linear",
    )
    assert (learning.clip_norm, learning.meta_learning_rate, learning.meta_clip_norm) == (
        10,
        1e-3,
        0.1,
    )


def test_rollout_follows_jumanjis_own_step(played):
    """Replaying the recorded actions in the bare environment gives the same game."""
    _, env_state, first, _ = played
    environment = SnakeEnvironment(4, 5, 5000)
    step = jax.jit(environment.step)
    for b in range(3):
        state = jax.tree.map(lambda leaf, b=b: leaf[b], env_state.state)
        for t in range(40):
            state, timestep = step(state, first.transitions.action[b, t])
            assert first.transitions.reward[b, t] == timestep.reward
            assert first.transitions.discount[b, t] == timestep.discount
            if timestep.last():
                break
            np.testing.assert_array_equal(first.observation[b, t + 1], timestep.observation.grid)


def test_rollouts_continue_each_other(played):
    _, env_state, first, second = played
    np.testing.assert_array_equal(first.observation[:, 0], env_state.observation)
    np.testing.assert_array_equal(second.observation[:, 0], first.observation[:, -1])


def test_episode_returns_are_sums_of_rewards_across_rollouts(played):
    params, _, first, second = played
    rewards = np.concatenate([first.transitions.reward, second.transitions.reward], axis=1)
    discounts = np.concatenate([first.transitions.discount, second.transitions.discount], axis=1)
    finished = np.concatenate([first.finished_return, second.finished_return], axis=1)
    assert (discounts == 0).any(axis=1).all()
    returns = []
    for b in range(3):
        total = 0.0
        for t in range(80):
            total += rewards[b, t]
            assert finished[b, t] == (total if discounts[b, t] == 0 else 0.0)
            if discounts[b, t] == 0:
                returns.append((t, total))
                total = 0.0
    last = [total for t, total in returns if t >= 40]
    metrics = PROBLEM.metrics(params, second)
    np.testing.assert_allclose(metrics["return"], np.mean(last), rtol=1e-6)
    assert metrics["episodes"] == len(last)


def test_trajectories_do_not_depend_on_parameters_by_derivative():
    params, env_state = PROBLEM.start(None, jax.random.key(0))

    def loss(params):
        _, trajectories = PROBLEM.rollout(params, None, env_state, jax.random.key(1))
        return trajectories.observation.sum() + trajectories.transitions.reward.sum()

    gradient = jax.jit(jax.grad(loss))(params)
    assert all(not leaf.any() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(("name", "value"), [("rows", 3), ("cols", 1)])
def test_a_board_too_small_for_the_network_is_refused(name, value):
    with pytest.raises(UsageError, match=rf"{name} .*: {value} is not allowed; allowed: 4 to 1000"):
        problems.make("snake", {name: value})


def test_unknown_conv_form_is_refused():
    with pytest.raises(
        UsageError, match=r"'fft' is not allowed; allowed: auto, tiles, winograd, xla"
    ):
        problems.make("snake", {"conv_form": "fft"})
