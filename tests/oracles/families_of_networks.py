"""Hessians of networks that amplify rounding: deep, recurrent, or computing in bfloat16."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from hessdiag.spectra import Operator, hessian

STEPS, DEPTH, EXAMPLES = 12, 8, 24


def deep_tanh(params, inputs, targets):
    """Mean square error of a deep tanh network."""
    hidden = inputs
    for weight in params["weights"]:
        hidden = jnp.tanh(hidden @ weight)
    return jnp.mean((hidden @ params["out"] - targets) ** 2)


def recurrent(params, inputs, targets):
    """Mean square error of a recurrent tanh network after its last step."""
    hidden = jnp.zeros((EXAMPLES, len(params["within"])), targets.dtype)
    for step in inputs:
        hidden = jnp.tanh(step @ params["in"] + hidden @ params["within"])
    return jnp.mean((hidden @ params["out"] - targets) ** 2)


def narrow(params, inputs, targets):
    """The deep network, computed in bfloat16."""
    at = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (params, inputs, targets))
    return deep_tanh(*at).astype(targets.dtype)


LOSSES = {"deep tanh": deep_tanh, "recurrent": recurrent, "bfloat16": narrow}


def network_operator(kind: str, data) -> Operator:
    """The Hessian at (params, inputs, targets)."""
    params, inputs, targets = data
    return hessian(lambda p: LOSSES[kind](p, inputs, targets), params)


def network_case(kind: str, seed: int):
    """Data in float32, and eigenvalues of the Hessian in float64 of the loss computed widely."""
    rng = np.random.default_rng([seed, 17])
    gain = rng.uniform(0.5, 3)
    params: dict[str, Any]
    if kind == "recurrent":
        params = {"in": _normal(rng, 3, 8), "within": gain * _normal(rng, 8, 8) / 8**0.5}
        inputs = _normal(rng, STEPS, EXAMPLES, 3)
    else:
        params = {"weights": [gain * _normal(rng, 6, 6) / 6**0.5 for _ in range(DEPTH)]}
        inputs = _normal(rng, EXAMPLES, 6)
    params["out"] = _normal(rng, 8 if kind == "recurrent" else 6, 1)
    data = jax.tree.map(np.float32, (params, inputs, _normal(rng, EXAMPLES, 1)))
    with jax.enable_x64(True):
        wide = jax.tree.map(np.float64, data)
        matrix = np.asarray(_dense_hessian(kind if kind == "recurrent" else "deep tanh")(*wide))
    return data, np.linalg.eigvalsh((matrix + matrix.T) / 2)


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


@functools.cache
def _dense_hessian(kind: str):
    def matrix(params, inputs, targets):
        flat, unravel = ravel_pytree(params)
        gradient = jax.grad(lambda x: LOSSES[kind](unravel(x), inputs, targets))
        _, product = jax.linearize(gradient, flat)
        return jax.vmap(product)(jnp.eye(flat.size, dtype=flat.dtype))

    return jax.jit(matrix)
