"""Bonnet et al. 2022: the discounting chain with an exact critic."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from gymnax.environments.bsuite.discounting_chain import DiscountingChain

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.meta import ESTIMATORS, Options, Start, System, sources, streams
from hessdiag.problems import chain
from tests.oracles import chain as oracle

RATE = 0.5
GAMMAS = {"gamma": np.asarray(0.93)}
VARIANTS = [{}, {"outer_critic": True}, {"normalise_advantages": True}, {"extra_discount": False}]


def problem(**settings) -> Any:
    return problems.make("chain", {"batch_size": 6, **settings})


@pytest.fixture(scope="module")
def params():
    rng = np.random.default_rng(0)
    return {"w": rng.normal(size=(2, 5)) * 0.4, "b": rng.normal(size=5) * 0.5}


@pytest.fixture(scope="module")
def actions(params):
    with jax.enable_x64(True):
        return np.asarray(problem().actions(params, jax.random.key(1)))


@pytest.fixture(scope="module")
def batch(actions):
    with jax.enable_x64(True):
        return chain.Batch(chain.tally(jnp.asarray(actions)), jnp.asarray(0.93))


def test_settings_are_the_papers():
    made = problems.make("chain", {})
    (gamma,) = made.meta_parameters  # pyright: ignore[reportAttributeAccessIssue]
    assert (gamma.name, gamma.start, gamma.between) == ("gamma", 0.95, (0.9, 1.0))
    learning = made.learning
    assert (learning.optimiser, learning.learning_rate) == ("sgd", 0.5)
    assert learning.meta_learning_rate == 0.1
    params, _ = made.start(None, jax.random.key(0))
    many = jax.vmap(lambda key: made.start(None, key)[0]["w"])(jax.random.split(jax.random.key(1)))
    assert params["b"].tolist() == [0.0] * 5
    assert 0.003 < float(np.std(many)) < 0.012  # 0.0071


@pytest.mark.parametrize("arm", range(chain.ARMS))
def test_every_step_is_that_of_gymnax(arm):
    """Observation, reward and end, of gymnax's own environment and of the oracle's."""
    theirs, ours = DiscountingChain(mapping_seed=oracle.MAPPING_SEED), oracle.Chain()
    key, told = jax.random.key(0), theirs.default_params
    seen, state = theirs.reset_env(key, told)
    np.testing.assert_allclose(ours.observation(), seen)
    for t in range(chain.STEPS):
        action = arm if t == 0 else (arm + t) % chain.ARMS
        seen, state, reward, done, _ = theirs.step_env(key, state, jnp.asarray(action), told)
        observation, own_reward, own_done = ours.step(action)
        np.testing.assert_allclose(observation, seen, rtol=1e-6)
        assert (own_reward, own_done) == (pytest.approx(float(reward)), bool(done))


def test_gamma_lies_between_its_ends():
    """γ = 0.9 + 0.1 sigmoid(η), 0.95 at zero."""
    made = problem()
    eta = made.init_eta(jax.random.key(0))
    np.testing.assert_allclose(eta, 0.0, atol=1e-6)
    for x in (-30.0, -1.0, 0.7, 30.0):
        expected = 0.9 + 0.1 / (1 + np.exp(-x))
        np.testing.assert_allclose(made.hyper(jnp.array([x]))["gamma"], expected, rtol=1e-6)


def test_all_steps_at_once_are_the_environment_step_by_step(actions, batch):
    """Rewards, observations and visits of what was sampled."""
    visits, rewards = np.zeros((5, 100, 5)), np.zeros((5, 100))
    for of_episode in actions:
        seen, got, goes_on = oracle.play(of_episode)
        assert goes_on.sum() == 99
        for t, action in enumerate(of_episode):
            visits[of_episode[0], t, action] += 1 / len(actions)
            table = chain._OBSERVATIONS[of_episode[0], t]
            np.testing.assert_allclose(table, seen[t], rtol=1e-15)
        rewards[of_episode[0]] = got
    np.testing.assert_allclose(batch.share, visits, rtol=1e-12)
    played = visits[:, 0].sum(axis=1) > 0
    np.testing.assert_allclose(chain._REWARDS[played], rewards[played])
    every = [oracle.play(np.array([arm] + [0] * 99))[1] for arm in range(5)]
    np.testing.assert_array_equal(chain._REWARDS, every)


def test_actions_follow_the_policy(params, x64):
    del x64
    many = problem(batch_size=20_000)
    share = np.asarray(chain.tally(many.actions(params, jax.random.key(3))))
    pi = np.exp(chain.log_policy(params))
    first = share[:, 0].sum(axis=1)
    error = np.sqrt(pi[0, 0] * (1 - pi[0, 0]) / 20_000)
    assert (np.abs(first - pi[0, 0]) < 4.5 * error).all()
    later = share[:, 50] / first[:, None]
    error = np.sqrt(pi[:, 50] * (1 - pi[:, 50]) / (20_000 * first[:, None]))
    assert (np.abs(later - pi[:, 50]) < 4.5 * error).all()


@pytest.mark.parametrize("settings", VARIANTS)
def test_losses_are_those_of_the_formulas(params, actions, batch, settings, x64):
    del x64
    made = problem(**settings)
    normalise, extra = made.normalise_advantages, int(made.extra_discount)
    inner = oracle.loss(params, actions, 0.93, critic_gamma=0.93, normalise=normalise, extra=extra)
    np.testing.assert_allclose(made.inner_loss(params, GAMMAS, batch), inner, rtol=1e-10)
    critic = 1.0 if made.outer_critic else 0.93
    outer = oracle.loss(params, actions, 1.0, critic_gamma=critic, normalise=normalise, extra=extra)
    np.testing.assert_allclose(made.outer_loss(params, GAMMAS, batch), outer, rtol=1e-10)


@pytest.mark.parametrize("outer_critic", [False, True])
@pytest.mark.parametrize("normalise", [False, True])
def test_metrics(params, actions, batch, outer_critic, normalise, x64):
    """Mean return, and r + V(s') − V(s) at first, less its mean over steps, over their s.d."""
    del x64
    made = problem(outer_critic=outer_critic, normalise_advantages=normalise)
    found = made.metrics(params, batch)
    returns = [oracle.play(of_episode)[1].sum() for of_episode in actions]
    np.testing.assert_allclose(found["return"], np.mean(returns), rtol=1e-12)
    gamma, advantages = 1.0 if outer_critic else 0.93, []
    for of_episode in actions:
        seen, rewards, _ = oracle.play(of_episode)
        pi = oracle.softmax(seen[0] @ params["w"] + params["b"])
        values = [oracle.value(observation, pi, gamma, 1) for observation in seen]
        advantages.append(rewards + np.diff(values))
    if normalise:
        apart = np.asarray(advantages) - np.mean(advantages)
        advantages = apart / np.sqrt(np.var(advantages) + 1e-5)
    first = np.mean(advantages, axis=0)[0]
    np.testing.assert_allclose(found["outer_advantage"], first, rtol=1e-8)


def test_values_solve_bellmans_equation(params, x64):
    """V = r + γ V' along every arm; at first in the mean over arms, without the extra discount."""
    del x64
    made = problem(extra_discount=False)
    values = np.asarray(made.values(params, 0.97))
    np.testing.assert_allclose(
        values[:, 1:-1], chain._REWARDS[:, 1:] + 0.97 * values[:, 2:], rtol=1e-12, atol=1e-15
    )
    pi = np.exp(chain.log_policy(params))[0, 0]
    np.testing.assert_allclose(
        values[0, 0], pi @ (chain._REWARDS[:, 0] + 0.97 * values[:, 1]), rtol=1e-12
    )
    advantages = np.asarray(made.advantages(params, 0.97, 0.97))
    np.testing.assert_allclose(advantages[:, 1:], 0.0, atol=1e-14)
    published = np.asarray(problem().values(params, 0.97))
    np.testing.assert_allclose(published[0, 0], 0.97 * values[0, 0], rtol=1e-12)


def system_of(made) -> System:
    return System.of(made, optax.sgd(RATE), optax.constant_schedule(RATE))


def meta_gradient(made, params, eta, estimator="n-step"):
    system = system_of(made)
    start = Start(system.update.init(jax.tree.map(jnp.asarray, params)), jnp.array([eta]), ())
    how = ESTIMATORS[estimator](Options(n=1))
    memory = how.init(system, start.inner.params)
    step = jax.jit(functools.partial(how, system))(start, jax.random.key(5), memory)
    return system, start, step


@pytest.mark.parametrize(
    ("settings", "estimator"),
    [
        *((settings, "n-step") for settings in VARIANTS),
        ({}, "bootstrapped"),
        ({"outer_critic": True}, "bootstrapped"),
    ],
)
def test_meta_gradients_by_central_differences(params, settings, estimator, x64):
    """Of the objective at θ'(η), values frozen at the η they belong to, as the formulas say."""
    del x64
    made, eta = problem(**settings), 0.4
    system, start, step = meta_gradient(made, params, eta, estimator)
    held = float(made.hyper(jnp.array([eta]))["gamma"])
    key = jax.random.key(5)
    drawn = sources(key, 1)
    seen = np.asarray(made.actions(params, drawn.inner[0]))
    after = system.update(start.inner, step.trajectories, start.eta).params
    validation = drawn.validation[0, 0]
    if estimator == "bootstrapped":
        validation = streams.target(validation, 1)[0][0]
    outer_seen = np.asarray(made.actions(after, validation))
    here = {name: np.asarray(leaf) for name, leaf in after.items()}
    how = {"normalise": made.normalise_advantages, "extra": int(made.extra_discount)}
    critic = 1.0 if made.outer_critic else held

    def moved(eta):
        """θ' = θ − α ∂L/∂θ by plain formulas; ∂L/∂γ enters where γ multiplies V(s')."""
        gamma = 0.9 + 0.1 / (1 + np.exp(-eta))
        slope = oracle.slope(params, seen, gamma, critic_gamma=held, **how)
        return {name: params[name] - RATE * slope[name] for name in params}

    def objective(eta):
        theta = moved(eta)
        if estimator == "n-step":
            return oracle.loss(theta, outer_seen, 1.0, at=here, critic_gamma=critic, **how)
        slope = oracle.slope(here, outer_seen, 1.0, critic_gamma=critic, **how)
        target = {name: here[name] - RATE * slope[name] for name in here}
        there, pi = (
            oracle.softmax(np.array([-1.0, 0.0]) @ at["w"] + at["b"]) for at in (target, theta)
        )
        apart = pi / there - 1  # KL = Σ p (d − log(1 + d)): small numbers are not differences
        return float((there * (apart - np.log1p(apart))).sum())

    np.testing.assert_allclose(moved(eta)["w"], here["w"], rtol=1e-9)
    np.testing.assert_allclose(step.outer_loss, objective(eta), rtol=1e-8)
    near, far = (objective(eta + h) - objective(eta - h) for h in (0.02, 0.04))
    expected = (8 * near - far) / (12 * 0.02)
    np.testing.assert_allclose(step.meta_gradient[0], expected, rtol=1e-5)


def test_a_target_that_is_where_training_is_has_no_meta_gradient(params, x64):
    """KL(π ‖ π_θ) and its slope are zero at θ."""
    del x64
    made = problem()
    kl = functools.partial(made.divergence, hyper=GAMMAS, trajectories=None)
    value, slope = jax.value_and_grad(lambda at: kl(at, target_params=params))(params)
    np.testing.assert_allclose(value, 0.0, atol=1e-15)
    for leaf in jax.tree.leaves(slope):
        np.testing.assert_allclose(leaf, 0.0, atol=1e-15)
    other = {"w": params["w"] * 0.5, "b": params["b"] * 0.3}
    pi, there = (
        oracle.softmax(np.array([-1.0, 0.0]) @ at["w"] + at["b"]) for at in (params, other)
    )
    expected = (there * np.log(there / pi)).sum()
    np.testing.assert_allclose(kl(params, target_params=other), expected, rtol=1e-12)


def test_at_the_outer_discount_an_outer_critic_changes_nothing(params, batch, x64):
    """Where γ is γ' both critics are one."""
    del x64
    both = [problem(outer_critic=outer) for outer in (False, True)]
    same, apart = ({"gamma": jnp.asarray(gamma)} for gamma in (1.0, 0.93))
    losses, slopes = zip(
        *(jax.value_and_grad(made.outer_loss)(params, same, batch) for made in both), strict=True
    )
    np.testing.assert_allclose(*losses, rtol=1e-13)
    np.testing.assert_allclose(slopes[0]["w"], slopes[1]["w"], rtol=1e-12)
    assert abs(np.subtract(*(made.outer_loss(params, apart, batch) for made in both))) > 1e-3


def test_the_outer_loss_has_no_derivative_in_gamma(params, batch, x64):
    """The critic of the plain meta-gradient is at γ, held constant."""
    del x64
    made = problem()
    slope = jax.grad(lambda gamma: made.outer_loss(params, {"gamma": gamma}, batch))(0.93)
    assert float(slope) == 0.0


def test_a_gamma_outside_of_its_ends_is_refused():
    with pytest.raises(UsageError, match=r"start_gamma: 0\.9 is not allowed; allowed: between 0.9"):
        problem(start_gamma=0.9)
