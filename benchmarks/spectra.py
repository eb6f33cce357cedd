"""Lanczos on the Snake network's Hessian: overhead over its products, and over the floor."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from benchmarks.floor import hessian_floor_seconds
from benchmarks.snake_case import make_case
from benchmarks.timing import medians, save
from hessdiag import spectra
from hessdiag.problems.snake import Snake

MATVECS = 48
LINEARISE = {"jax.linearize": jax.linearize, "spectra.linearise": spectra.linearise}


def main() -> None:
    case = make_case(Snake())
    inner, eta, env_state, _ = case.start
    params = inner.params
    _, trajectories = case.system.rollout(params, eta, env_state, case.key)

    def loss(params):
        return case.system.update.loss(params, eta, trajectories)

    calls = _calls(loss, params)
    seconds = medians(
        {name: lambda call=call: call(params) for name, call in calls.items()}, repeats=7
    )
    product = seconds["products"] / MATVECS
    save(
        "spectra",
        "python -m benchmarks.spectra",
        [
            {
                "what": f"Lanczos with {MATVECS} products / {MATVECS} products alone, time",
                "value": seconds["lanczos"] / seconds["products"],
                "unit": "×",
                "goal": "≤ 1.15",
            },
            {
                "what": "one Hessian-vector product, linearisation shared",
                "value": product * 1e3,
                "unit": "ms",
            },
            {
                "what": "Hessian-vector product / arithmetic floor, time",
                "value": product / hessian_floor_seconds(),
                "unit": "×",
                "goal": "→ 1.3",
            },
            {
                "what": "Hessian-vector product / gradient, time",
                "value": product / seconds["gradient"],
                "unit": "×",
            },
            {
                "what": "products of jax.linearize / of spectra.linearise, time",
                "value": seconds["jax.linearize"] / seconds["spectra.linearise"],
                "unit": "×",
            },
            *(
                {
                    "what": f"what {name} remembers",
                    "value": _mebibytes(
                        jax.eval_shape(lambda p, by=by: by(jax.grad(loss), p)[1], params)
                    ),
                    "unit": "MiB",
                }
                for name, by in LINEARISE.items()
            ),
        ],
    )


def _calls(loss: Callable, params: Any) -> dict[str, Callable]:
    """What is timed, compiled; all of it takes the parameters."""
    flat, unravel = ravel_pytree(params)
    start = jax.random.normal(jax.random.key(2), flat.shape)

    def hessian(params):
        return spectra.hessian(loss, params)

    def repeated(matvec):
        return jax.lax.fori_loop(
            0, MATVECS, lambda _, v: matvec(v) / jnp.maximum(jnp.linalg.norm(v), 1e-6), start
        )

    def products_by(linearise, params):
        _, product = linearise(jax.grad(loss), params)
        return repeated(lambda v: ravel_pytree(product(unravel(v)))[0])

    def lanczos(params):
        made = spectra.lanczos(hessian(params), start, max_matvecs=MATVECS, tolerance=0.0)
        return made.alpha, made.active

    calls = {
        "products": jax.jit(lambda params: repeated(hessian(params).matvec)),
        "lanczos": jax.jit(lanczos),
        "gradient": jax.jit(jax.grad(loss)),
        **{name: jax.jit(partial(products_by, by)) for name, by in LINEARISE.items()},
    }
    assert int(calls["lanczos"](params)[1]) == MATVECS
    return calls


def _mebibytes(tree) -> float:
    leaves = jax.tree.leaves(tree)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves) / 2**20


if __name__ == "__main__":
    main()
