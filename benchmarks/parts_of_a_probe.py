"""What parts of a probe cost on Snake 6×6, as a probe draws them: cuts, and what else it measures.

With every cut at n = 10, in seconds; what `probe.also` asks for at n = 5, in K meta-gradients.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.timing import save
from hessdiag.inner import COUNTERFACTUALS
from hessdiag.meta import streams
from hessdiag.probes.also import ALSO
from hessdiag.probes.chunks import side_by_side
from hessdiag.probes.mechanism import MechanismProbe, meta_gradients_of
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.probe import measured_by
from hessdiag.train.self_test import set_up_compilation

HISTORY, K, SAMPLES, REPEATS = 50, 8, 96, 5
BOARD = {"env": "snake", "n": 1, "problem.rows": 6, "problem.cols": 6, "probe.samples": K}
CUTS = {"probe.n": 10, "probe.horizons": [1, 2, 3, 5, 10]}
CUTS |= {"probe.counterfactuals": list(COUNTERFACTUALS)}
ALONE = {"probe.n": 5, "probe.also": list(ALSO)}


def main() -> None:
    set_up_compilation()
    learner = Learner(resolve(BOARD))
    keys = streams.run_keys(0)
    state = learner.init(keys.init)
    for t in range(HISTORY):
        state, _ = learner.step(state, streams.iteration(keys.train, t))
    drawn = streams.samples(keys.probe, HISTORY, K)
    save(
        "parts_of_a_probe",
        "python -m benchmarks.parts_of_a_probe",
        [*_cuts(learner, state, drawn), *_also(learner, state, drawn, keys)],
    )


def _cuts(learner: Learner, state: Any, drawn: Any) -> list[dict[str, Any]]:
    probe = MechanismProbe(measured_by(learner, resolve(BOARD | CUTS)))
    program = probe.programs[0][0]

    def alone():
        return [jax.block_until_ready(program(state, key)) for key in drawn]

    def as_drawn():
        return probe.sample(state, drawn, progress=lambda _: None)

    seconds = _seconds({"alone": alone, "drawn": as_drawn})
    each = seconds["drawn"] / K
    cuts = len(COUNTERFACTUALS) + 1
    return [
        {"what": f"{cuts} cuts at 5 horizons up to 10, a sample", "value": each, "unit": "s"},
        {"what": f"{SAMPLES} of them, a probe", "value": SAMPLES * each / 60, "unit": "min"},
        {
            "what": "the terms alone, one at a time / with all else of a probe, "
            f"{side_by_side()} at a time",
            "value": seconds["alone"] / seconds["drawn"],
            "unit": "×",
        },
    ]


def _also(learner: Learner, state: Any, drawn: Any, keys: streams.RunKeys) -> list[dict[str, Any]]:
    measured = measured_by(learner, resolve(BOARD | ALONE))
    meta_gradients, beside = meta_gradients_of(measured), streams.beside(keys.lanczos, HISTORY)

    def plain():
        return meta_gradients.sample(state, drawn, progress=lambda _: None)

    def measuring(part: Any) -> Callable[[], Any]:
        return lambda: part.measure(
            state, drawn, beside, progress=lambda *_: None, tell=lambda _: None
        )

    parts = {name: measuring(make(measured)) for name, make in ALSO.items()}
    seconds = _seconds({"plain": plain, **parts})
    of_samples = {"twins", "smoothness", "estimators"}
    rows = []
    for name in parts:
        counted = K if name in of_samples else 1
        unit = "K meta-gradients" if name in of_samples else "meta-gradients"
        cost = seconds[name] / seconds["plain"] * K / counted
        rows.append({"what": f"{name}, n = 5", "value": cost, "unit": unit})
    return rows


def _seconds(functions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Medians, the functions taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(REPEATS + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            taken[name] += [time.perf_counter() - began] if turn else []
    return {name: float(np.median(times)) for name, times in taken.items()}


if __name__ == "__main__":
    main()
