"""Runs that several devices share, in a process that has them; told is where arrays lay.

`python -m tests.train.on_devices FOLDER`, with `XLA_FLAGS` that force eight host devices.
"""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hessdiag.devices import Devices, local_devices
from hessdiag.meta.streams import run_keys
from hessdiag.probes.mechanism import meta_gradients_of
from hessdiag.probes.spectral import SpectralProbe
from hessdiag.train import run
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.launch import start
from hessdiag.train.presets import resolve
from hessdiag.train.probe import measured_by
from hessdiag.train.run import LockStep, Run
from hessdiag.train.seed_run import Observer, SeedRun
from tests.train.driving import SNAKE, TINY, SignalAt, fresh, resume
from tests.train.shared_programs import LEARNER, PROBE_OF

MRP = TINY | {"train.iterations": 4, "probe.at": [2]}
BOARD = SNAKE | {
    "problem.rows": 6,
    "problem.cols": 6,
    "problem.batch_size": 8,
    "probe.operators": ["paper"],
}
CASES: Mapping[str, Mapping[str, Any]] = {"mrp": MRP, "snake": BOARD}
SEEDS = (0, 1, 2)


def stopped(path: Path, settings: Mapping[str, Any], devices: Devices) -> None:
    """A run that is stopped after its probe."""
    try:
        fresh(path, settings, SignalAt(signal.SIGTERM, "training", 3), devices)
    except Interrupted:
        return
    raise AssertionError("it was not stopped")


def seeds_together(folder: Path, settings: Mapping[str, Any], devices: Devices) -> list[Path]:
    """Seeds that train as one program."""
    runs = []
    for seed in SEEDS:
        made = resolve({**settings, "seed": seed})
        directory = start(made, folder / str(seed), command="hessdiag study", devices=devices)
        runs.append(SeedRun(made, directory, Observer()))
    with StopRequest() as stop:
        Run(runs, stop=stop, devices=devices).go()
    return [run.path for run in runs]


def spread(tree: Any) -> list[int]:
    """Of every array, how many devices have something of their own of it."""
    return [
        len({str(shard.index) for shard in leaf.addressable_shards})
        for leaf in jax.tree.leaves(tree)
    ]


def placement(settings: Mapping[str, Any], devices: Devices, seeds: Sequence[int]) -> dict:
    """How states are spread before a call and after it, and the programs that all calls needed."""
    learner = LEARNER(resolve(settings), devices=devices)
    runs: Any = [type("Seed", (), {"keys": run_keys(seed)}) for seed in seeds]
    steps = LockStep(learner, runs, [learner.init(run.keys.init) for run in runs])
    places = [spread(steps._states)]
    for t in range(2):
        steps.advance(t, t + 1, 1)
        places.append(spread(steps._states))
    program = learner.step if len(seeds) == 1 else learner.step_together
    return {
        "before": places[0],
        "after": places[1:],
        "environments": spread(steps._states.env_state),
        "programs": program._cache_size(),
        "alone": spread(steps.state(0)),
    }


def samples(settings: Mapping[str, Any], devices: Devices) -> dict:
    """How a chunk of meta-gradients is spread."""
    resolved = resolve(settings)
    learner, keys = LEARNER(resolved, devices=devices), run_keys(0)
    chunks = meta_gradients_of(measured_by(learner, resolved))
    state = learner.init(keys.init)
    drawn = jax.random.split(keys.probe, devices.number * resolved.probe.chunk)
    found = chunks.program(devices.copies(state), drawn)
    return {"samples": spread(found), "calls": chunks.calls(3 * len(drawn))}


def starts(settings: Mapping[str, Any], devices: Devices) -> list[int]:
    """How the runs of the Lanczos start vectors are spread."""
    resolved = resolve(settings)
    learner, keys = LEARNER(resolved, devices=devices), run_keys(0)
    probe = SpectralProbe(measured_by(learner, resolved))
    state = devices.first(learner.init(keys.init))
    steps = probe._loops[0]._linearise(probe._points(state, keys.probe))
    hessians = probe._loops[0]._hessians
    runs, *_ = hessians._decompose(hessians._devices.copies(steps), 0, keys.lanczos)
    return spread(runs.alpha)


def uneven(devices: Devices) -> list[bool]:
    """Whether shares that have to be filled up give what one device gives, for some numbers."""

    def share(parts, factor):
        return jax.lax.map(lambda part: {"found": jnp.sin(part) * factor}, parts)

    def same(count: int) -> bool:
        parts = jnp.arange(float(count))
        found = jax.jit(lambda parts: devices.spread(share, parts, 2.0))(parts)["found"]
        return np.array_equal(found, jax.jit(share)(parts, 2.0)["found"])

    return [same(count) for count in (1, 3, 8, 11)]


def main(folder: Path) -> None:
    """Everything that the tests look at."""
    run.Learner, run.probe_of = LEARNER, PROBE_OF
    devices = local_devices()
    told: dict[str, Any] = {"devices": devices.number}
    for name, settings in CASES.items():
        fresh(folder / name, settings, devices=devices)
        told[name] = placement(settings, devices, [0])
    resume(folder / "begun-on-one", devices=devices)
    stopped(folder / "begun-on-eight", BOARD, devices)
    seeds_together(folder / "together", MRP, devices)
    told["seeds"] = placement(MRP, devices, SEEDS)
    told |= {"chunk": samples(MRP, devices), "starts": starts(MRP, devices)}
    told |= {"uneven": uneven(devices)}
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
