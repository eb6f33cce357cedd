"""Seeds that train as one program, vmapped or in turn inside it, against a program each."""

from types import SimpleNamespace
from typing import Any, cast

import jax

from benchmarks.timing import medians, save
from hessdiag.meta.streams import run_keys
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.run import LockStep
from hessdiag.train.seed_run import SeedRun
from hessdiag.train.self_test import set_up_compilation

CASES = {
    "MRP, n = 1, 5 seeds": ({"env": "mrp", "n": 1, "probe.chunk": 16}, 5),
    "MRP, n = 5 with 256 meta-gradients averaged, 5 seeds": (
        {"env": "mrp", "n": 5, "monte_carlo": 256, "probe.chunk": 256},
        5,
    ),
    "Snake 12×12, n = 1, 3 seeds": ({"env": "snake", "n": 1, "probe.chunk": 3}, 3),
}


def main() -> None:
    set_up_compilation()
    rows = []
    for name, (settings, seeds) in CASES.items():
        learner = Learner(resolve(settings))
        runs = cast(list[SeedRun], [SimpleNamespace(keys=run_keys(seed)) for seed in range(seeds)])
        states = [learner.init(run.keys.init) for run in runs]
        in_turn = Learner(resolve(settings | {"probe.chunk": 1}))
        ways = {
            "vmapped": [LockStep(learner, runs, states)],
            "in turn": [LockStep(in_turn, runs, states)],
            "each": [
                LockStep(learner, [run], [state]) for run, state in zip(runs, states, strict=True)
            ],
        }
        calls = {way: lambda steps=steps: _ten(steps) for way, steps in ways.items()}
        seconds = medians(calls, repeats=5)
        rows += [
            {
                "what": f"{name}: a program each / one {way} (chunk = {chunk}), time",
                "value": seconds["each"] / seconds[way],
                "unit": "×",
            }
            for way, chunk in (("vmapped", settings["probe.chunk"]), ("in turn", 1))
        ]
        jax.clear_caches()
    save("lock_step", "python -m benchmarks.lock_step", rows)


def _ten(steps: list[LockStep]) -> list[Any]:
    return [one.advance(t, t + 1, 1) for t in range(10) for one in steps]


if __name__ == "__main__":
    main()
