"""A mechanism probe's meta-gradients on Snake 12×12 against one reverse pass per estimator and cut.

n = 1, 3, 5, 10, the 3-mix and the 5-mix, in full and under all six counterfactuals: K samples take
K times what one takes on either side, so that one is timed.
"""

import jax
import numpy as np

from benchmarks.snake_case import make_case
from benchmarks.timing import medians, save
from hessdiag.inner import CUTS
from hessdiag.meta import ESTIMATORS, Options, Validation, sources, streams, terms, unroll
from hessdiag.problems.snake import Snake
from hessdiag.statistics.mixing import mix_weights
from hessdiag.train.self_test import set_up_compilation

LONGEST = 10
HORIZONS = (1, 2, 3, 4, 5, 10)  # the mixes are sums over all horizons up to theirs
STEPS, MIXES = (1, 3, 5, 10), (3, 5)
SAMPLES = 96


def main() -> None:
    set_up_compilation()
    case = make_case(Snake())
    at = (case.start, case.key)
    shared = jax.jit(lambda *at: _shared(case.system, *at)).lower(*at).compile()
    together = np.asarray(shared(*at).meta_gradients)
    estimators = [("n-step", n) for n in STEPS] + [("mix", n) for n in MIXES]
    shared_seconds, naive_seconds, worst = [], 0.0, 0.0
    for name, cut in CUTS.items():  # few programs at a time: they take much memory
        programs = {which: _one(case.system, *which, cut, at) for which in estimators}
        calls = {str(which): lambda run=run: run(*at) for which, run in programs.items()}
        seconds = medians({"shared": lambda: shared(*at), **calls}, repeats=2)
        shared_seconds.append(seconds.pop("shared"))
        naive_seconds += sum(seconds.values())
        if name != "stable-hessian":  # its Lanczos runs start from other vectors
            for estimator, program in programs.items():
                value = np.asarray(program(*at))
                worst = max(worst, _difference(together, name, estimator, value))
    shared_time = float(np.median(shared_seconds))
    number = len(CUTS) * len(estimators)
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


def _shared(system, start, key):
    points = unroll(system, start, sources(key, LONGEST), objective=Validation())
    cuts = tuple(CUTS.values())
    return terms(system, start, points, horizons=HORIZONS, cuts=cuts, key=streams.deflation(key))


def _one(system, kind: str, n: int, cut, at):
    estimator = ESTIMATORS[kind](Options(n=n, cut=cut))
    step = jax.jit(lambda start, key: estimator(system, start, key, ()).meta_gradient)
    return step.lower(*at).compile()


def _difference(together: np.ndarray, name: str, estimator: tuple[str, int], value) -> float:
    steps, (kind, n) = together[list(CUTS).index(name)], estimator
    expected = mix_weights(n) @ steps[:n] if kind == "mix" else steps[HORIZONS.index(n)]
    return float(np.abs(value - expected).max() / np.abs(expected).max())


if __name__ == "__main__":
    main()
