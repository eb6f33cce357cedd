"""A mechanism probe's meta-gradients on Snake 12×12 against one reverse pass per estimator and cut.

n = 1, 3, 5, 10, the 3-mix and the 5-mix, in full and under all six counterfactuals: K samples take
K times what one takes on either side, so that one is timed.
"""

import jax
import numpy as np
from hessdiag.cli.compilation import set_up_compilation  # pyright: ignore[reportMissingImports]

from benchmarks.snake_case import make_case
from benchmarks.timing import medians, save
from hessdiag.inner import COUNTERFACTUALS
from hessdiag.meta import Estimator, meta_step, mix_weights, terms, unroll
from hessdiag.problems.snake import Snake

LONGEST = 10
HORIZONS = (1, 2, 3, 4, 5, 10)  # the mixes are sums over all horizons up to theirs
STEPS, MIXES = (1, 3, 5, 10), (3, 5)
SAMPLES = 96


def main() -> None:
    set_up_compilation()
    case = make_case(Snake())
    at = (case.start, case.key)
    shared = jax.jit(lambda *at: _shared(case.update, *at)).lower(*at).compile()
    together = np.asarray(shared(*at).contributions.sum(axis=2))
    estimators = [Estimator("n-step", n) for n in STEPS] + [Estimator("mix", n) for n in MIXES]
    shared_seconds, naive_seconds, worst = [], 0.0, 0.0
    for name, paths in COUNTERFACTUALS.items():  # few programs at a time: they take much memory
        programs = {one: _one(case.update, one, paths, at) for one in estimators}
        calls = {str(one): lambda run=run: run(*at) for one, run in programs.items()}
        seconds = medians({"shared": lambda: shared(*at), **calls}, repeats=2)
        shared_seconds.append(seconds.pop("shared"))
        naive_seconds += sum(seconds.values())
        if name != "stable-hessian":  # its Lanczos runs start from other vectors
            for estimator, program in programs.items():
                value = np.asarray(program(*at))
                worst = max(worst, _difference(together, name, estimator, value))
    shared_time = float(np.median(shared_seconds))
    number = len(COUNTERFACTUALS) * len(estimators)
    save(
        "mechanism_cost",
        "python -m benchmarks.mechanism_cost",
        [
            {
                "what": "one reverse pass per estimator and cut / one shared pass, time",
                "value": naive_seconds / shared_time,
                "unit": "×",
                "goal": "≥ 3",
            },
            {
                "what": f"{number} meta-gradients of one sample, shared",
                "value": shared_time,
                "unit": "s",
            },
            {
                "what": f"{SAMPLES} such samples at that rate, a probe",
                "value": SAMPLES * shared_time / 60,
                "unit": "min",
            },
            {
                "what": "largest difference of values, relative to each estimator's largest entry",
                "value": worst,
            },
        ],
    )


def _shared(update, start, key):
    points = unroll(update, start, key, n=LONGEST, validate_all=True)
    paths = tuple(COUNTERFACTUALS.values())
    return terms(update, start.eta, points, horizons=HORIZONS, paths=paths, key=key)


def _one(update, estimator: Estimator, paths, at):
    follow = Estimator(estimator.kind, estimator.n, paths=paths)
    step = jax.jit(lambda *at: meta_step(follow, update, *at).meta_gradient)
    return step.lower(*at).compile()


def _difference(together: np.ndarray, name: str, estimator: Estimator, value) -> float:
    steps = together[list(COUNTERFACTUALS).index(name)]
    if estimator.kind == "mix":
        expected = mix_weights(estimator.n) @ steps[: estimator.n]
    else:
        expected = steps[HORIZONS.index(estimator.n)]
    return float(np.abs(value - expected).max() / np.abs(expected).max())


if __name__ == "__main__":
    main()
