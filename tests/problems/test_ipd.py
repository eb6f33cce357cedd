"""LOLA: exact derivatives of both players, unbiased ones by enumeration, and where it leads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.inner import inner_optimiser
from hessdiag.meta import ESTIMATORS, Options, System, again
from hessdiag.problems.ipd import IteratedPrisonersDilemma
from hessdiag.rl.game_objectives import Games
from hessdiag.rl.lookahead import Looked
from hessdiag.rl.repeated_game import STATES
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from tests.oracles import dilemma
from tests.oracles.meta_gradient import central_differences

RATE = 0.3
ONE, TWO = np.array([0.3, -1.0, 0.8, 0.5, -0.4]), np.array([-0.7, 0.5, 0.2, -0.9, 0.1])


def eta_of(one, two):
    pairs = (("one", one), ("two", two))
    return {name: dict(zip(STATES, jnp.asarray(own), strict=True)) for name, own in pairs}


def players_of(eta):
    return [np.array([float(eta[name][state]) for state in STATES]) for name in ("one", "two")]


@pytest.mark.parametrize("updates", [1, 2])
@pytest.mark.usefixtures("x64")
def test_exact_lola_of_both_players(updates):
    """d/dη_one V_one(η_one, θ_two(η_one)), η_two being a constant; likewise of two."""
    problem = IteratedPrisonersDilemma(inner="exact", outer="exact", batch_size=2, rollout_length=2)
    system = System.of(problem, inner_optimiser("sgd", RATE), lambda _: RATE)
    estimator = ESTIMATORS["n-step"](Options(n=updates, keep=0))

    @jax.jit
    def meta_gradient(eta):
        start = again(system, eta, jax.random.key(0))
        step = estimator(system, start, jax.random.key(1), ())
        return step.meta_gradient, step.outer_loss

    gradient, loss = meta_gradient(system.eta_space.ravel(eta_of(ONE, TWO)))
    one, two = players_of(system.eta_space.unravel(gradient))

    def ahead(own, other):
        return dilemma.lookahead_value(own, other, RATE, updates)

    np.testing.assert_allclose(-loss, ahead(ONE, TWO) + ahead(TWO, ONE), rtol=1e-10)
    expected = central_differences(lambda own: ahead(own, TWO), ONE)
    np.testing.assert_allclose(-one, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    expected = central_differences(lambda own: ahead(own, ONE), TWO)
    np.testing.assert_allclose(-two, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    naive = dilemma.slope(ONE, TWO)
    assert np.linalg.norm(one + naive) > 0.1 * np.linalg.norm(naive)


@pytest.mark.parametrize("name", ["dice", "loaded", "lvc", "ad"])
@pytest.mark.usefixtures("x64")
def test_mixed_derivative_of_the_inner_loss(name):
    """∂²V_two / ∂θ_two ∂η_one, what LOLA is about: dice and loaded have it on average.

    Of the others, ad has none at all, and lvc that of the two actions of a round.
    """
    length = 2
    problem = IteratedPrisonersDilemma(inner=name)
    games, likely = dilemma.games(ONE, TWO, length)
    values = jnp.array([[0.5, -1.0, 0.3, 2.0, 0.1], [1.0, 0.2, -0.4, 0.7, -2.0]])
    eta = eta_of(ONE, TWO)
    params = {"one": jnp.asarray(ONE), "two": jnp.asarray(TWO)}

    def loss(theta_two, eta_one, rounds):
        hyper = eta | {"one": dict(zip(STATES, eta_one, strict=True))}
        seen = Games(rounds[None], values)
        return problem.inner_loss(params | {"two": theta_two}, hyper, Looked(seen, seen))

    mixed = jax.jit(jax.vmap(jax.jacobian(jax.grad(loss), argnums=1), (None, None, 0)))(
        params["two"], jnp.asarray(ONE), jnp.asarray(games)
    )
    mean = -np.tensordot(likely, np.asarray(mixed), axes=1)  # (θ_two, η_one)
    bootstrap = np.zeros(5) if name == "dice" else np.asarray(values[1])
    steps = 1e-30j * np.eye(5)

    def slope(one):
        return np.array(
            [dilemma.truncated_value(TWO + d, one, length, bootstrap).imag for d in steps]
        )

    exact = np.array([slope(ONE + d) - slope(ONE - d) for d in 1e-5 * np.eye(5)]).T / 2e-5 / 1e-30
    if name == "ad":
        np.testing.assert_array_equal(mean, 0.0)
    elif name == "lvc":
        assert np.abs(mean - exact).max() > 0.1 * np.abs(exact).max()
    else:
        np.testing.assert_allclose(mean, exact, atol=1e-8)


def trained(iterations, **flags):
    """Mean payoff of a round by iteration, and the players at the end."""
    settings = resolve({"env": "ipd", "train.iterations": iterations, **flags})
    learner = Learner(settings)
    assert (settings.n, settings.learning.keep) == (1, "0")

    def step(state, key):
        after, info = learner._step(state, key)
        return after, info.metrics["payoff"]

    state = learner.init(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), iterations)
    after, payoffs = jax.jit(lambda state, keys: jax.lax.scan(step, state, keys))(state, keys)
    return np.asarray(payoffs), players_of(learner.system.eta_space.unravel(after.eta))


EXACT = {"problem.inner": "exact", "problem.outer": "exact", "problem.rollout_length": 20}


@pytest.mark.slow
def test_exact_players_cooperate_by_reciprocity_and_naive_ones_defect():
    payoffs, (one, two) = trained(80, **EXACT)
    assert abs(payoffs[0] + 1.5) < 0.05
    assert payoffs[-10:].mean() > -1.1
    start, _, _, betrayed, both = 1 / (1 + np.exp(-one))
    assert max(start, both) < 0.2  # probabilities of defecting
    assert betrayed > both + 0.3
    np.testing.assert_allclose(one, two, atol=1e-3)  # a symmetric game from a symmetric start
    payoffs, _ = trained(80, **EXACT, **{"learning.learning_rate": 1e-6})
    assert payoffs[-10:].mean() < -1.95


def test_players_are_told_by_player_and_state():
    problem = problems.make("ipd", {})
    system = System.of(problem, inner_optimiser("sgd", RATE), lambda _: RATE)
    assert system.names[:5] == ("one.CC", "one.CD", "one.DC", "one.DD", "one.start")


@pytest.mark.parametrize(
    ("key", "value"), [("batch_size", 0), ("rollout_length", 0), ("inner", "wice"), ("gamma", 1.0)]
)
def test_what_is_not_allowed_is_refused(key, value):
    with pytest.raises(UsageError, match=rf"problem\.{key}.*: .*{value}.* is not allowed; allowed"):
        problems.make("ipd", {key: value})
