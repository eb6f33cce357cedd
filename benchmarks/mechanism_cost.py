"""A mechanism probe's meta-gradients on Snake 12×12 against one reverse pass per estimator and cut.

n = 1, 3, 5, 10, the 3-mix and the 5-mix, in full and under all six counterfactuals: K samples take
K times what one takes on either side, so that one is timed.
"""

import jax
import numpy as np

from benchmarks.snake_case import make_case
from benchmarks.timing import medians, save
from hessdiag.meta import COUNTERFACTUALS, Estimator, meta_step, mix_weights, terms, unroll
from hessdiag.problems.snake import Snake

LONGEST = 10
HORIZONS = (1, 2, 3, 4, 5, 10)  # the mixes are sums over all horizons up to theirs
STEPS, MIXES = (1, 3, 5, 10), (3, 5)
SAMPLES = 96


def main() -> None:
    case = make_case(Snake(conv_form="tiles"))
    at = (case.state, case.eta, case.env_state, case.key)
    shared = jax.jit(lambda *at: _shared(case.update, *at))
    estimators = [Estimator("n-step", n) for n in STEPS] + [Estimator("mix", n) for n in MIXES]
    naive = {
        (name, estimator.kind, estimator.n): _one(case.update, estimator, paths)
        for name, paths in COUNTERFACTUALS.items()
        for estimator in estimators
    }
    together = np.asarray(shared(*at).contributions.sum(axis=2))
    apart = {key: np.asarray(program(*at)) for key, program in naive.items()}
    calls = {
        "shared": lambda: shared(*at),
        "naive": lambda: [program(*at) for program in naive.values()],
    }
    seconds = medians(calls, repeats=3)
    save(
        "mechanism_cost",
        "python -m benchmarks.mechanism_cost",
        [
            {
                "what": "one reverse pass per estimator and cut / one shared pass, time",
                "value": seconds["naive"] / seconds["shared"],
                "unit": "×",
                "goal": "≥ 3",
            },
            {
                "what": f"{len(naive)} meta-gradients of one sample, shared",
                "value": seconds["shared"],
                "unit": "s",
            },
            {
                "what": f"a probe of K = {SAMPLES} samples, shared",
                "value": SAMPLES * seconds["shared"] / 60,
                "unit": "min",
            },
            {
                "what": "largest difference of values, relative to each estimator's largest entry",
                "value": _difference(together, apart),
            },
        ],
    )


def _shared(update, state, eta, env_state, key):
    points = unroll(update, state, eta, env_state, key, n=LONGEST, validate_all=True)
    paths = tuple(COUNTERFACTUALS.values())
    return terms(update, eta, points, horizons=HORIZONS, paths=paths, key=key)


def _one(update, estimator: Estimator, paths):
    follow = Estimator(estimator.kind, estimator.n, paths=paths)
    return jax.jit(lambda *at: meta_step(follow, update, *at).meta_gradient)


def _difference(together: np.ndarray, apart: dict) -> float:
    """Of all but the stable Hessian, whose Lanczos runs start from other vectors."""
    worst = 0.0
    for (name, kind, n), value in apart.items():
        if name == "stable-hessian":
            continue
        steps = together[list(COUNTERFACTUALS).index(name)]
        expected = mix_weights(n) @ steps[:n] if kind == "mix" else steps[HORIZONS.index(n)]
        worst = max(worst, float(np.abs(value - expected).max() / np.abs(expected).max()))
    return worst


if __name__ == "__main__":
    main()
