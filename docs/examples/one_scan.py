"""A training loop that is one compiled scan, as in PureJaxRL, with probes inside.

An actor-critic walks a corridor; its discount and its entropy weight are η. The whole training is
under `jax.jit`: `probe.keep` copies the states that are due, `probe.record_kept` measures them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

import hessdiag

CELLS, ENVIRONMENTS, LENGTH, RATE = 8, 16, 16, 3e-3


class Transition(NamedTuple):
    """One step of every environment."""

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    done: jax.Array


class RunnerState(NamedTuple):
    """All that the scan carries."""

    params: dict
    opt_state: optax.OptState
    place: jax.Array
    key: jax.Array


def step_environment(place, action):
    """Right or left; the right end pays one and starts again."""
    moved = jnp.clip(place + 2 * action - 1, 0, CELLS - 1)
    done = moved == CELLS - 1
    return jnp.where(done, 0, moved), done.astype(jnp.float32), done


def network(params, observation):
    """(logits of both actions, value)."""
    hidden = jnp.tanh(observation @ params["hidden"])
    return hidden @ params["actor"], hidden @ params["critic"]


def rollout(params, eta, place, key):
    """LENGTH steps of all environments: (places, transitions)."""
    del eta

    def step(place, key):
        observation = jax.nn.one_hot(place, CELLS)
        action = jax.random.categorical(key, network(params, observation)[0])
        after, reward, done = step_environment(place, action)
        return after, Transition(observation, action, reward, done)

    return jax.lax.scan(step, place, jax.random.split(key, LENGTH))


def actor_critic_loss(params, eta, batch):
    """The inner loss: η sees it through the discount and the entropy weight."""
    logits, values = network(params, batch.observation)
    discount = jax.nn.sigmoid(eta["discount"])

    def back(following, transition):
        reward, done = transition
        returns = reward + discount * (1 - done) * following
        return returns, returns

    rest = (batch.reward, batch.done.astype(jnp.float32))
    last = jax.lax.stop_gradient(values[-1])
    _, returns = jax.lax.scan(back, last, rest, reverse=True)
    log_policy = jax.nn.log_softmax(logits)
    taken = jnp.take_along_axis(log_policy, batch.action[..., None], -1)[..., 0]
    advantage = returns - jax.lax.stop_gradient(values)
    entropy = -jnp.sum(jnp.exp(log_policy) * log_policy, -1)
    policy = -jnp.mean(taken * advantage) - jnp.exp(eta["entropy"]) * jnp.mean(entropy)
    return policy + 0.5 * jnp.mean((values - returns) ** 2)


def policy_loss(params, eta, batch):
    """The outer loss: policy gradient at a fixed discount, with no entropy."""
    del eta
    fixed = {"discount": jnp.array(4.0), "entropy": jnp.array(-20.0)}
    return actor_critic_loss(params, fixed, batch)


OPTIMISER = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(RATE))
PROBE = hessdiag.Probe(
    inner_loss=actor_critic_loss,
    optimiser=OPTIMISER,
    learning_rate=RATE,
    outer_loss=policy_loss,
    rollout=rollout,
    n=3,
    momentum=0.9,
    every=100,
    samples=32,
    operators=("paper", "augmented"),
    name="corridor",
)
ETA = {"discount": jnp.array(2.0), "entropy": jnp.array(-3.0)}


def begin(key):
    """The state before the first update."""
    sizes = {"hidden": (CELLS, 16), "actor": (16, 2), "critic": (16,)}
    keys = dict(zip(sizes, jax.random.split(key, len(sizes)), strict=True))
    params = {name: 0.3 * jax.random.normal(keys[name], sizes[name]) for name in sizes}
    return RunnerState(params, OPTIMISER.init(params), jnp.zeros(ENVIRONMENTS, jnp.int32), key)


@jax.jit
def train(runner):
    """Three hundred updates in one program."""

    def update(runner, number):
        PROBE.keep(number, runner.params, runner.opt_state, ETA, runner.place)
        key, sampling = jax.random.split(runner.key)
        place, batch = rollout(runner.params, ETA, runner.place, sampling)
        gradient = jax.grad(actor_critic_loss)(runner.params, ETA, batch)
        change, opt_state = OPTIMISER.update(gradient, runner.opt_state, runner.params)
        params = optax.apply_updates(runner.params, change)
        return RunnerState(params, opt_state, place, key), batch.reward.mean()

    return jax.lax.scan(update, runner, jnp.arange(1, 301))


def main(directory="corridor"):
    """Train, then measure what was kept."""
    _, rewards = train(begin(jax.random.key(0)))
    print(f"reward a step: {rewards[:20].mean():.3f} at first, {rewards[-20:].mean():.3f} at last")
    return PROBE.record_kept(directory)


if __name__ == "__main__":
    print(main())
