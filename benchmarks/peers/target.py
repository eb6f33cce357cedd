"""What the JAX libraries compute the spectrum of."""

import functools
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.snake_case import make_case
from hessdiag import spectra
from hessdiag.inner import InnerUpdate
from hessdiag.problems.snake import Snake


class Target:
    """A symmetric operator, made from data that stays an argument of every compiled program.

    Attributes:
        operator: Data -> operator; called under jit.
        data: Its argument.
        size: Dimension.
        dtype: Dtype of the products.
    """

    def __init__(self, operator: Callable[[Any], spectra.Operator], data: Any):
        example = jax.eval_shape(lambda data: _blank(operator(data)), data)
        self.operator, self.data = operator, data
        self.size, self.dtype = example.size, example.dtype

    def matvec(self, v) -> jax.Array:
        """One product."""
        return _product(self.operator)(self.data, jnp.asarray(v, self.dtype))


@functools.cache
def _product(operator: Callable[[Any], spectra.Operator]):
    """Compiled once for all data of one shape."""
    return jax.jit(lambda data, v: operator(data).matvec(v))


def _blank(operator: spectra.Operator) -> jax.Array:
    return jnp.zeros(operator.size, operator.dtype)


class SnakeData(NamedTuple):
    """The Snake network before the first iteration of the default run, and its first batch."""

    update: InnerUpdate
    params: Any
    eta: jax.Array
    trajectories: Any


def snake_data() -> SnakeData:
    """The training state that `benchmarks.spectra` measures at."""
    case = make_case(Snake())
    rollout = jax.jit(case.system.rollout)
    inner, eta, env_state, _ = case.start
    _, trajectories = rollout(inner.params, eta, env_state, case.key)
    return SnakeData(case.system.update, inner.params, eta, trajectories)


def snake_target(data: SnakeData | None = None) -> Target:
    """The Hessian of the inner loss."""
    data = snake_data() if data is None else data

    def operator(given):
        params, trajectories = given
        loss = partial(_loss, data.update, data.eta, trajectories)
        return spectra.hessian(loss, params)

    return Target(operator, (data.params, data.trajectories))


def mlp_target(widths: Sequence[int], examples: int) -> Target:
    """The Hessian of a regression by a network of tanh layers of these widths, and one output."""
    sizes = (*widths, 1)
    keys = jax.random.split(jax.random.key(0), len(sizes))
    params = [
        jax.random.normal(key, shape) / shape[0] ** 0.5
        for key, shape in zip(keys[1:], itertools.pairwise(sizes), strict=True)
    ]
    inputs = jax.random.normal(keys[0], (examples, sizes[0]))

    def operator(given):
        params, inputs = given
        return spectra.hessian(functools.partial(_regression, inputs), params)

    return Target(operator, (params, inputs))


def _regression(inputs, params):
    hidden = inputs
    for matrix in params[:-1]:
        hidden = jnp.tanh(hidden @ matrix)
    return jnp.mean((hidden @ params[-1] - jnp.sin(inputs[:, :1])) ** 2)


def diagonal_target(size: int) -> Target:
    """A diagonal map with a dense bulk and a few outliers on both sides."""
    entries = jax.random.normal(jax.random.key(0), (size,))
    entries = entries.at[:8].set(jnp.array([9.0, -7.0, 8.0, 7.5, -6.0, 6.5, 6.0, 5.5]))
    return Target(spectra.diagonal, entries)


def _loss(update: InnerUpdate, eta, trajectories, params):
    return update.loss(params, eta, trajectories)


def random_vector(target: Target, seed: int) -> jax.Array:
    """A Gaussian start vector."""
    return jax.random.normal(jax.random.key(seed), (target.size,), target.dtype)
