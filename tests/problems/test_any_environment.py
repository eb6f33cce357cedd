"""A2C in environments of other libraries: what is played is theirs, and what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.problems.registry import is_own
from hessdiag.rl.networks import BoardActorCritic, VectorActorCritic
from hessdiag.train.launch import require_trusted

SMALL = {"batch_size": 3, "rollout_length": 12}
PLAYED = {
    "gymnax:CartPole-v1": (VectorActorCritic, 2),
    "gymnax:Breakout-MinAtar": (BoardActorCritic, 3),
    "gymnax:Catch-bsuite": (VectorActorCritic, 3),
    "jumanji:Maze-v0": (VectorActorCritic, 4),
    "jumanji:Game2048-v1": (VectorActorCritic, 4),
}


def rolled_out(name):
    problem: Any = problems.make(name, SMALL)
    eta = problem.init_eta(jax.random.key(0))
    params, start = problem.start(eta, jax.random.key(0))
    end, trajectories = jax.jit(problem.rollout)(
        params, problem.hyper(eta), start, jax.random.key(1)
    )
    return problem, params, start, end, trajectories


@pytest.mark.parametrize("name", PLAYED)
def test_five_environments_are_played_and_learned(name):
    problem, params, _, end, trajectories = rolled_out(name)
    network, actions = PLAYED[name]
    assert isinstance(problem.network, network)
    assert problem.network.actions == actions
    assert trajectories.observation.shape[:2] == (3, 13)
    np.testing.assert_array_equal(trajectories.observation[:, -1], end.observation)
    assert set(np.unique(trajectories.transitions.action)) <= set(range(actions))
    hyper = problem.hyper(problem.init_eta(jax.random.key(0)))
    gradient = jax.jit(jax.grad(problem.inner_loss))(params, hyper, trajectories)
    sizes = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient)]
    assert np.isfinite(sizes).all()
    assert max(sizes) > 0
    assert problem.metrics(params, trajectories).keys() >= {problem.about.headline}


def test_cart_poles_move_as_the_equations_of_motion_say():
    """Barto, Sutton & Anderson 1983, by Euler's method, until the pole falls."""
    _, _, _, _, trajectories = rolled_out("gymnax:CartPole-v1")
    seen, actions = np.asarray(trajectories.observation, float), trajectories.transitions.action
    discount = np.asarray(trajectories.transitions.discount)
    compared = 0
    for b in range(3):
        for t in range(12):
            if discount[b, t] == 0:
                continue
            x, v, angle, spin = seen[b, t]
            force = 10.0 if actions[b, t] == 1 else -10.0
            push = (force + 0.05 * spin**2 * np.sin(angle)) / 1.1
            turn = 9.8 * np.sin(angle) - np.cos(angle) * push
            turn /= 0.5 * (4 / 3 - 0.1 * np.cos(angle) ** 2 / 1.1)
            pull = push - 0.05 * turn * np.cos(angle) / 1.1
            after = [x + 0.02 * v, v + 0.02 * pull, angle + 0.02 * spin, spin + 0.02 * turn]
            np.testing.assert_allclose(seen[b, t + 1], after, atol=1e-5)
            compared += 1
    assert compared > 25


def test_an_episode_that_ends_starts_again():
    """Catch lasts nine steps; the ball is back at the top, and its return is its last reward."""
    _, _, _, _, trajectories = rolled_out("gymnax:Catch-bsuite")
    discount = np.asarray(trajectories.transitions.discount)
    assert np.unique(discount.sum(axis=1)).tolist() == [11.0]
    ended = np.argwhere(discount == 0)
    for b, t in ended:
        assert trajectories.finished_return[b, t] == trajectories.transitions.reward[b, t]
        first = np.asarray(trajectories.observation[b, t + 1]).reshape(10, 5)
        assert first[0].sum() == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gymnax:Pendulum-v1", "its actions are a Box"),
        ("jumanji:RubiksCube-v0", "its actions are a MultiDiscreteArray"),
        ("jumanji:Chess-v0", "jumanji has no 'Chess-v0'; allowed: "),
        ("gymnax:Chess-v0", "gymnax has no 'Chess-v0'; allowed: "),
    ],
)
def test_others_are_refused_with_the_reason(name, words):
    problem = problems.make(name, {})
    with pytest.raises(UsageError, match=words) as raised:
        problem.start(None, jax.random.key(0))
    assert "\n" not in str(raised.value)


def test_names_of_environments_are_no_code_of_ones_own(tmp_path):
    assert not is_own("gymnax:CartPole-v1")
    assert is_own("mine:make")
    require_trusted({"env": "jumanji:Maze-v0"}, {}, tmp_path)
    with pytest.raises(UsageError, match="names code"):
        require_trusted({"env": "mine:make"}, {}, tmp_path)


def test_the_ratio_changes_the_hessian_and_not_the_gradient():
    """LVC adds the scores' outer products, weighted by advantages, to AD's Hessian."""
    plain, *_, trajectories = rolled_out("gymnax:CartPole-v1")
    ratio = problems.make("gymnax:CartPole-v1", {**SMALL, "by_ratio": True})
    eta = plain.init_eta(jax.random.key(0))
    params, _ = plain.start(eta, jax.random.key(0))
    losses = [
        lambda p, made=made: made.inner_loss(p, made.hyper(eta), trajectories)
        for made in (plain, ratio)
    ]
    first, second = (jax.grad(loss)(params) for loss in losses)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), first, second)
    v = jax.tree.map(jnp.ones_like, params)
    bent = [jax.jvp(jax.grad(loss), (params,), (v,))[1] for loss in losses]
    apart = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), *bent)
    assert max(jax.tree.leaves(apart)) > 1e-3
