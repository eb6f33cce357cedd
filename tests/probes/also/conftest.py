"""A quadratic inner loss, whose unrolls have closed forms, in double precision."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from hessdiag.inner import annealing
from hessdiag.meta import Start, System
from hessdiag.probes.measured import Measured
from hessdiag.probes.settings import ProbeSettings

D, N, ALPHA = 12, 3, 0.1


def symmetric(key: jax.Array, size: float = 1.0) -> jax.Array:
    """A random matrix with eigenvalues of either sign, some of order `size`."""
    matrix = jax.random.normal(key, (D, D))
    return size * (matrix + matrix.T) / 2


@dataclass(frozen=True)
class Quadratic:
    """½ θ'(H + S)θ + τ'θ, where a trajectory is a random symmetric S, and τ = Cθ + noise."""

    hessian: Any
    response: Any  # C: how a trajectory follows the parameters
    wobble: float = 0.0  # size of S
    noise: float = 1.0
    idle: float = 0.0  # the probability that a rollout brings no noise

    def init_eta(self, key):
        del key
        return jnp.zeros(1)

    def hyper(self, eta):
        return eta

    def start(self, eta, key):
        del eta
        return jax.random.normal(key, (D,)), jnp.zeros(())

    def rollout(self, params, hyper, env_state, key):
        del hyper
        a, b, c = jax.random.split(key, 3)
        noise = self.noise * jax.random.normal(a, params.shape, params.dtype)
        is_idle = jax.random.uniform(c) < self.idle
        tau = self.response @ params + jnp.where(is_idle, 0, noise)
        return env_state, (symmetric(b, self.wobble).astype(params.dtype), tau)

    def inner_loss(self, params, hyper, trajectories):
        del hyper
        matrix, tau = trajectories
        return params @ (self.hessian + matrix) @ params / 2 + tau @ params

    def outer_loss(self, params, hyper, trajectories):
        del hyper
        return trajectories[1] @ params + params @ params / 2


def measured(problem: Any, *, dtype: Any = None, shift: Any = 0.0, **more: Any) -> Measured:
    """Unrolls of N updates by gradient descent, from a random start; `more` are settings."""
    rate = annealing("constant", ALPHA, 1)
    system = System.of(problem, optax.sgd(ALPHA), rate)

    def start(state, key):
        del state, key
        params = problem.start(None, jax.random.key(1))[0].astype(dtype) + shift
        return Start(system.update.init(params), jnp.zeros(1), jnp.zeros(()))

    shared: dict[str, Any] = {"samples": 4, "chunk": 2, "unrolls": 1} | more
    return Measured(system, start, N, ProbeSettings(**shared), {}, {}, [], "", None)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield
