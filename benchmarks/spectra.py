"""Lanczos on the Snake network's Hessian: overhead over its products, and over the floor."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from benchmarks.floor import hessian_floor_seconds
from benchmarks.snake_case import make_case
from benchmarks.timing import medians, save
from hessdiag import spectra
from hessdiag.problems.snake import Snake

MATVECS = 48


def main() -> None:
    case = make_case(Snake())
    _, trajectories = case.update.problem.rollout(case.state.params, case.env_state, case.key)
    size = ravel_pytree(case.state.params)[0].size
    start = jax.random.normal(jax.random.key(2), (size,))

    def operator(params):
        return spectra.hessian(lambda p: case.update.loss(p, case.eta, trajectories), params)

    def linearised(by, params):
        return by(lambda p: case.update.gradient(p, case.eta, trajectories), params)[1]

    def repeated(matvec):
        return jax.lax.fori_loop(
            0, MATVECS, lambda _, v: matvec(v) / jnp.maximum(jnp.linalg.norm(v), 1e-6), start
        )

    @jax.jit
    def products(params):
        return repeated(operator(params).matvec)

    @partial(jax.jit, static_argnames="by")
    def products_by(by, params):
        product, unravel = linearised(by, params), ravel_pytree(params)[1]
        return repeated(lambda v: ravel_pytree(product(unravel(v)))[0])

    @jax.jit
    def lanczos(params):
        made = spectra.lanczos(operator(params), start, max_matvecs=MATVECS, tolerance=0.0)
        return made.alpha, made.active

    @jax.jit
    def gradient(params):
        return case.update.gradient(params, case.eta, trajectories)

    params = case.state.params
    assert int(lanczos(params)[1]) == MATVECS
    seconds = medians(
        {
            "products": lambda: products(params),
            "jax.linearize": lambda: products_by(jax.linearize, params),
            "spectra.linearise": lambda: products_by(spectra.linearise, params),
            "lanczos": lambda: lanczos(params),
            "gradient": lambda: gradient(params),
        },
        repeats=7,
    )
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
                "value": seconds["products"] / MATVECS * 1e3,
                "unit": "ms",
            },
            {
                "what": "Hessian-vector product / arithmetic floor, time",
                "value": seconds["products"] / MATVECS / hessian_floor_seconds(),
                "unit": "×",
                "goal": "→ 1.3",
            },
            {
                "what": "Hessian-vector product / gradient, time",
                "value": seconds["products"] / MATVECS / seconds["gradient"],
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
                    "value": _mebibytes(jax.eval_shape(partial(linearised, by), params)),
                    "unit": "MiB",
                }
                for name, by in (
                    ("jax.linearize", jax.linearize),
                    ("spectra.linearise", spectra.linearise),
                )
            ),
        ],
    )


def _mebibytes(tree) -> float:
    leaves = jax.tree.leaves(tree)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves) / 2**20


if __name__ == "__main__":
    main()
