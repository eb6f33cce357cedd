"""LOLA taken apart: the update, its derivative and the outer loss, each exact or sampled."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.inner import inner_optimiser
from hessdiag.meta import ESTIMATORS, Options, System, again
from hessdiag.problems.ipd import IteratedPrisonersDilemma
from hessdiag.rl.lookahead import Looked
from hessdiag.rl.repeated_game import STATES, seen_by_other
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from tests.oracles import dilemma
from tests.problems.test_ipd import ONE, RATE, TWO, eta_of, players_of

SMALL: dict[str, Any] = {"batch_size": 4, "rollout_length": 6}
AWAY = np.array([[1.0, -0.6, 0.4, -1.2, 0.9], [-0.5, 0.8, -1.0, 0.3, 0.7]])
STEPS = 1e-30j * np.eye(5)


def system_of(problem):
    return System.of(problem, inner_optimiser("sgd", RATE), lambda _: RATE)


def sampled(problem: Any, key=0) -> Any:
    """What a rollout at ONE and TWO gives, with the imagined players a little off."""
    eta = eta_of(ONE, TWO)
    _, env_state = problem.start(eta, jax.random.key(9))
    params = {"one": jnp.asarray(ONE + 0.1), "two": jnp.asarray(TWO - 0.2)}
    after, looked = jax.jit(problem.rollout)(params, eta, env_state, jax.random.key(key))
    return params, eta, env_state, after, looked


def derivatives(problem, params, eta, looked):
    """Slope of the inner loss in θ_two, and that slope's derivative in η_one."""

    def loss(theta_two, eta_one):
        hyper = eta | {"one": dict(zip(STATES, eta_one, strict=True))}
        return problem.inner_loss(params | {"two": theta_two}, hyper, looked)

    slope = jax.grad(loss)
    at = params["two"], jnp.asarray(ONE)
    return np.asarray(slope(*at)), np.asarray(jax.jacobian(slope, argnums=1)(*at))


@pytest.mark.parametrize(("inner", "hessian"), [("dice", "exact"), ("exact", "loaded")])
@pytest.mark.usefixtures("x64")
def test_an_update_moves_as_one_objective_and_turns_as_another(inner, hessian):
    problem = IteratedPrisonersDilemma(**SMALL, inner=inner, hessian=hessian)
    params, eta, _, _, looked = sampled(problem)
    slope, mixed = derivatives(problem, params, eta, looked)
    for name, which, got in ((inner, 0, slope), (hessian, 1, mixed)):
        alone = IteratedPrisonersDilemma(**SMALL, inner=name)
        np.testing.assert_allclose(got, derivatives(alone, params, eta, looked)[which], rtol=1e-10)


@pytest.mark.usefixtures("x64")
def test_meta_gradient_with_a_sampled_update_and_its_exact_derivative():
    """By the chain rule in NumPy, from where the sampled update led."""
    problem = IteratedPrisonersDilemma(**SMALL, inner="dice", hessian="exact", outer="exact")
    system = system_of(problem)

    @jax.jit
    def single(eta):
        start = again(system, eta, jax.random.key(0))
        step = ESTIMATORS["n-step"](Options(n=1, keep=1))(system, start, jax.random.key(1), ())
        return step.meta_gradient, step.state.params

    gradient, imagined = single(system.eta_space.ravel(eta_of(ONE, TWO)))
    for own, other, name, got in zip(
        (ONE, TWO), (TWO, ONE), ("two", "one"), players_of(system.eta_space.unravel(gradient)),
        strict=True,
    ):  # fmt: skip
        there = np.asarray(imagined[name])
        assert np.abs(there - other - RATE * dilemma.slope(other, own)).max() > 1e-2  # by chance
        mixed = np.array(
            [
                (dilemma.slope(other, own + d) - dilemma.slope(other, own - d)) / 2e-5
                for d in 1e-5 * np.eye(5)
            ]
        )
        to_other = np.array([dilemma.value(own, there + s).imag for s in STEPS]) / 1e-30
        expected = dilemma.slope(own, there) + RATE * mixed @ to_other
        np.testing.assert_allclose(-got, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.usefixtures("x64")
def test_batches_are_as_large_as_asked_and_apart():
    problem = IteratedPrisonersDilemma(
        **SMALL, inner="dice", inner_batch_size=5, hessian_batch_size=7
    )
    params, eta, env_state, _, looked = sampled(problem)
    assert looked.hessian is not None
    assert (len(looked.of_one.rounds), len(looked.hessian[0].rounds)) == (5, 7)
    validated = problem.validation_rollout(params, eta, env_state, jax.random.key(0))[1]
    assert len(validated.of_one.rounds) == 4
    slope, mixed = derivatives(problem, params, eta, looked)
    alone = IteratedPrisonersDilemma(**SMALL, inner="dice")
    of_update = Looked(looked.of_one, looked.of_two)
    np.testing.assert_allclose(slope, derivatives(alone, params, eta, of_update)[0], rtol=1e-10)
    of_hessian = Looked(*looked.hessian)
    np.testing.assert_allclose(mixed, derivatives(alone, params, eta, of_hessian)[1], rtol=1e-10)
    both = [alone.log_prob(params, eta, games) for games in (of_update, of_hessian)]
    np.testing.assert_allclose(problem.log_prob(params, eta, looked), np.concatenate(both))


@pytest.mark.parametrize("part", ["both", "inner", "hessian"])
@pytest.mark.usefixtures("x64")
def test_off_policy_games_are_where_the_setting_says(part):
    """Enumerated games of others have on average the exact truncated slope and derivative."""
    length, others = 2, (ONE + AWAY[0], TWO + AWAY[1])
    problem = IteratedPrisonersDilemma(
        batch_size=1, rollout_length=length, inner="dice", buffer_size=2, off_policy=part
    )
    rounds, likely = dilemma.games(*others, length)
    behaviour = np.log(dilemma.joint(*others)[rounds[:, :-1], rounds[:, 1:] - 1])
    params, eta, _, _, looked = sampled(problem)
    theta = np.asarray(params["two"])

    def of_game(rounds, log_probs):
        """Every game that was kept is this one."""

        def known(games):
            if games is None or games[0].behaviour is None:
                return games
            seen = (rounds, seen_by_other(rounds))
            return tuple(
                of._replace(
                    rounds=jnp.broadcast_to(as_seen, of.rounds.shape),
                    behaviour=jnp.broadcast_to(log_probs, of.behaviour.shape),
                )
                for of, as_seen in zip(games, seen, strict=True)
            )

        there = looked._replace(inner=known(looked.inner), hessian=known(looked.hessian))

        def slope(theta, one):
            hyper = eta | {"one": dict(zip(STATES, one, strict=True))}
            there_loss = partial(problem.inner_loss, hyper=hyper, trajectories=there)
            return jax.grad(lambda theta: there_loss(params | {"two": theta}))(theta)

        at = params["two"], jnp.asarray(ONE)
        return slope(*at), jax.jacobian(slope, argnums=1)(*at)

    slopes, mixed = jax.jit(jax.vmap(of_game))(jnp.asarray(rounds), jnp.asarray(behaviour))
    slope, mixed = (-np.tensordot(likely, np.asarray(each), axes=1) for each in (slopes, mixed))

    def exact(one):
        return np.array(
            [dilemma.truncated_value(theta + s, one, length).imag / 1e-30 for s in STEPS]
        )

    turned = np.array([(exact(ONE + d) - exact(ONE - d)) / 2e-5 for d in 1e-5 * np.eye(5)]).T
    assert np.allclose(slope, exact(ONE), atol=1e-10) == (part != "hessian")
    assert np.allclose(mixed, turned, atol=1e-8) == (part != "inner")


@pytest.mark.usefixtures("x64")
def test_the_buffer_holds_the_games_just_played_with_their_own_odds():
    problem = IteratedPrisonersDilemma(**SMALL, inner="dice", buffer_size=20, drift=0.5)
    params, _, before, after, looked = sampled(problem)
    np.testing.assert_array_equal(after.replay.rounds[:12], before.replay.rounds[8:])
    np.testing.assert_array_equal(after.replay.log_probs[:12], before.replay.log_probs[8:])
    np.testing.assert_array_equal(after.replay.rounds[12:16], looked.of_one.rounds)
    np.testing.assert_array_equal(after.replay.rounds[16:], seen_by_other(looked.of_two.rounds))
    imagined_one, imagined_two = (np.asarray(params[name]) for name in ("one", "two"))
    for table, rows in (
        (dilemma.joint(ONE, imagined_two), slice(12, 16)),
        (dilemma.joint(imagined_one, TWO), slice(16, 20)),
    ):
        rounds = np.asarray(after.replay.rounds[rows])
        expected = np.log(table[rounds[:, :-1], rounds[:, 1:] - 1])
        np.testing.assert_allclose(after.replay.log_probs[rows], expected, rtol=1e-10)


def test_training_carries_the_buffer_and_the_critic():
    extra = {"problem.buffer_size": 24, "problem.critic": "reward", "problem.inner": "dice"}
    small = {f"problem.{key}": value for key, value in SMALL.items()}
    learner = Learner(resolve({"env": "ipd", **small, **extra}))
    first = learner.init(jax.random.key(0))
    second, _ = learner.step(first, jax.random.key(1))
    third, _ = learner.step(second, jax.random.key(2))
    for before, after in ((first, second), (second, third)):
        held, now = before.env_state.replay, after.env_state.replay
        np.testing.assert_array_equal(now.rounds[:-8], held.rounds[8:])
    values = [state.env_state.critic.values for state in (first, second, third)]
    assert not np.asarray(values[0]).any()
    np.testing.assert_allclose(values[1][:, 0], -0.1, rtol=1e-4)  # one step of Adam
    assert np.all(np.asarray(values[2][:, 0]) < -0.11)


def test_the_critic_is_the_baseline_of_games():
    problem: Any = IteratedPrisonersDilemma(**SMALL, critic="reward")
    params, eta, env_state, after, looked = sampled(problem)
    np.testing.assert_array_equal(looked.of_one.values, env_state.critic.values)
    _, later = problem.rollout(params, eta, after, jax.random.key(1))
    np.testing.assert_array_equal(later.of_two.values, after.critic.values[::-1])
    np.testing.assert_allclose(after.critic.values[:, 0], -0.1, rtol=1e-4)


def test_players_start_spread_about_even_odds():
    draws = [problems.make("ipd", {"spread": 2.0}).init_eta(jax.random.key(s)) for s in range(40)]
    logits = np.array([jax.tree.leaves(eta) for eta in draws])
    assert abs(logits.std() - 2.0) < 0.3
    assert abs(logits.mean()) < 0.5
    assert not np.array(jax.tree.leaves(problems.make("ipd", {}).init_eta(jax.random.key(0)))).any()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"buffer_size": 100}, "problem.buffer_size: 100 is not allowed with 256 games"),
        ({"buffer_size": 512, "inner": "lvc"}, "problem.inner: 'lvc' is not allowed off"),
        (
            {"buffer_size": 512, "off_policy": "hessian", "hessian": "ad"},
            "problem.hessian: 'ad' is not allowed off",
        ),
        (
            {"buffer_size": 512, "hessian_batch_size": 8},
            "problem.hessian_batch_size: 8 is not allowed where",
        ),
        ({"inner_batch_size": -1}, "problem.inner_batch_size: -1 is not allowed; allowed: 0"),
        ({"critic": "oracle"}, "problem.critic: 'oracle' is not allowed; allowed: exact, reward"),
    ],
)
def test_what_is_not_allowed_is_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        problems.make("ipd", settings)
