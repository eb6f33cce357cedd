"""Independent references for meta-gradients: replayed losses, central differences, eq. 11."""

from collections.abc import Callable

import jax
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from hessdiag.meta import System, point


def replayed_outer_loss(inner: Callable, outer: Callable, start, tx, *, horizon: int) -> Callable:
    """η ↦ L'(θ^(i)) with everything sampled held fixed, by a plain loop over an optax optimiser.

    Args:
        inner: (θ, η, j) → L on τ^(j).
        outer: (θ, i) → L' on τ̃^(i).
        start: parameters and state of `tx` that the unroll starts from.
        tx: optax optimiser, learning rate included.
        horizon: i.
    """

    def loss(eta):
        params, opt_state = start
        for j in range(horizon):
            change, opt_state = tx.update(jax.grad(inner)(params, eta, j), opt_state, params)
            params = optax.apply_updates(params, change)
        return outer(params, horizon)

    return loss


def fed(tx, params, gradients):
    """Parameters and state of an optax optimiser after being fed some gradients."""
    opt_state = tx.init(params)
    for gradient in gradients:
        change, opt_state = tx.update(gradient, opt_state, params)
        params = optax.apply_updates(params, change)
    return params, opt_state


def central_differences(function: Callable, x: np.ndarray, *, step: float = 1e-4) -> np.ndarray:
    """Gradient of a scalar function by central differences; float64."""
    assert x.dtype == np.float64
    directions = step * np.eye(len(x))
    return np.array([(function(x + d) - function(x - d)) / (2 * step) for d in directions])


def equation_11(system: System, eta, seen, *, horizon: int, alpha: float) -> np.ndarray:
    """T Σ_i (Π_{j<i} (I + H_{n−j})) N_{n−i} with dense matrices (Bonnet et al. 2021, eq. 11)."""
    n = horizon
    flat, unravel = ravel_pytree(point(seen.states, 0).params)

    def loss(theta, eta, at):
        return system.update.loss(unravel(theta), eta, point(seen.trajectories, at))

    def theta(at):
        return ravel_pytree(point(seen.states, at).params)[0]

    outer = jax.grad(lambda x: system.outer_loss(unravel(x), eta, point(seen.validation, n - 1)))
    gradient = jax.grad(loss)
    total = np.zeros((flat.size, eta.size))
    for i in range(1, n + 1):
        at = n - i
        term = -alpha * jax.jacfwd(gradient, argnums=1)(theta(at), eta, at)  # N
        for j in reversed(range(1, i)):
            hessian = jax.jacfwd(gradient)(theta(n - j), eta, n - j)
            term = term - alpha * hessian @ term  # (I + H) from the oldest to the newest
        total += np.asarray(term)
    return np.asarray(outer(theta(n))) @ total


def with_dead_units(params, unit_bias: float = -50.0):
    """Kill the first unit of every hidden layer with a large negative bias."""

    def kill(path, leaf):
        hidden = "out" not in str(path) and leaf.ndim == 1 and leaf.size > 1
        return leaf.at[0].set(unit_bias) if hidden else leaf

    return jax.tree_util.tree_map_with_path(kill, params)
