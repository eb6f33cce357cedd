"""Terms of the built-in inner losses: what is left of the loss where other weights are zero."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag import problems
from hessdiag.problems import total

SNAKE = {"rows": 4, "cols": 4, "batch_size": 3, "rollout_length": 4, "maps": 3}
HYPER = {"gamma": 0.9, "lambda": 0.8, "c_crit": 0.4, "c_entr": 0.03}
OUTER = {"policy_width": 4, "value_width": 5, "entropy": 0.02}


@functools.cache
def played(name, **settings) -> Any:
    """The problem, parameters, and a rollout."""
    made = problems.make(name, settings)
    params, env_state = made.start(None, jax.random.key(0))
    _, batch = jax.jit(made.rollout)(params, HYPER, env_state, jax.random.key(1))
    return made, params, batch


def inner_loss(name, settings, params, batch, **hyper):
    made = problems.make(name, settings)
    return float(jax.jit(made.inner_loss)(params, HYPER | hyper, batch))


def test_of_actor_critics():
    made, params, batch = played("snake", **SNAKE, torso=6, head=5)
    settings = SNAKE | {"torso": 6, "head": 5}
    loss = functools.partial(inner_loss, "snake", settings, params, batch)
    policy = loss(c_crit=0.0, c_entr=0.0)
    expected = {
        "policy": policy,
        "critic": loss(c_entr=0.0) - policy,
        "entropy": loss(c_crit=0.0) - policy,
    }
    same(made.inner_loss_terms(params, HYPER, batch), expected)


def test_of_the_chain():
    made, params, batch = played("chain", batch_size=6, entropy=0.2)
    policy = inner_loss("chain", {"batch_size": 6, "entropy": 0.0}, params, batch)
    whole = inner_loss("chain", {"batch_size": 6, "entropy": 0.2}, params, batch)
    same(made.inner_loss_terms(params, HYPER, batch), {"policy": policy, "entropy": whole - policy})


@pytest.mark.parametrize("outer_critic", [False, True])
def test_of_snake_with_an_outer_critic(outer_critic):
    settings = SNAKE | OUTER | {"outer_critic": outer_critic}
    made, params, batch = played("snake-outer", **settings)

    def loss(**changes):
        return inner_loss("snake-outer", settings | changes, params, batch)

    policy = loss(entropy=0.0, critic_cost=0.0)
    inner = loss(entropy=0.0, outer_critic=False) - policy
    expected = {"policy": policy, "critic": inner, "entropy": loss(critic_cost=0.0) - policy}
    if outer_critic:
        expected["outer-critic"] = loss(entropy=0.0) - policy - inner
    same(made.inner_loss_terms(params, HYPER, batch), expected)


def same(terms, expected):
    assert list(terms) == list(expected)
    scale = max(map(abs, expected.values()))
    assert all(abs(value) > 1e-6 * scale for value in expected.values())
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, abs=1e-5 * scale), name
    assert float(total(terms)) == pytest.approx(sum(expected.values()), abs=1e-5 * scale)


def test_a_total_adds_nothing_else():
    """Not even a zero, which would change the sign of one."""
    nothing = jnp.asarray(-0.0)
    assert np.signbit(total({"one": nothing, "other": nothing}))
