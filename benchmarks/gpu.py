"""An accelerator against this machine's CPU: meta-gradients, a probe and a study, in ten minutes.

Run it on both: `python -m benchmarks.gpu`, and the same with `JAX_PLATFORMS=cpu`. Each run keeps a
table of its own, at both precisions and, where there are several devices, on one and on all of
them; the second run prints ratios, too. What there is no time for is left out.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax

from benchmarks.timing import RESULTS, markdown, medians, save
from hessdiag import spectra
from hessdiag.devices import Devices, local_devices
from hessdiag.meta import streams
from hessdiag.probes.mechanism import meta_gradients_of
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.grid import Grid
from hessdiag.study.study import Study
from hessdiag.study.task import StudyObserver
from hessdiag.train.interrupt import StopRequest
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.probe import measured_by, probe_of
from hessdiag.train.run import LockStep
from hessdiag.train.seed_run import SeedRun
from hessdiag.train.self_test import set_up_compilation

PRECISIONS = ("float32", "tensorfloat32")
BOARD = {"env": "snake", "n": 5, "probe.samples": 16, "probe.chunk": 4}
SMALL = {"problem.rows": 6, "problem.cols": 6, "problem.batch_size": 8, "probe.max_matvecs": 12}
STUDY = {
    "env": "snake",
    "preset": "smoke",
    "train.iterations": 20,
    "probe.points": 1,
    "probe.samples": 8,
    "probe.operators": ["paper"],
    "probe.products": False,
}
PARTS = {  # what is timed, in the order of its use to a reader
    "iteration": "an iteration with its meta-gradient, Snake 12×12, n = 5",
    "samples": "16 meta-gradients of a probe, there",
    "probe": "a probe with every operator, there",
    "study": "a study on Snake 6×6: n = 1 and 5, 2 seeds, a probe each; with its compilation",
}
COLUMNS = ["seconds", *PARTS]


class Way(NamedTuple):
    """How it is computed."""

    precision: str
    devices: Devices

    @property
    def name(self) -> str:
        """In the table."""
        return f"{self.precision}, {self.devices.number} of {jax.device_count()} devices"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=9.0, help="when to begin nothing more")
    asked.add_argument("--small", action="store_true", help="a trial on 6×6, which keeps nothing")
    given = asked.parse_args()
    end = time.monotonic() + 60 * given.minutes
    set_up_compilation()
    table = _table(given.small)
    rows: dict[str, list[Any]] = {way.name: [None] * len(PARTS) for way in _ways()}
    for place, part in enumerate(PARTS):
        for way in _ways():
            if time.monotonic() < end:
                rows[way.name][place] = MEASURE[part](way, given.small)
                table["rows"] = [[name, *numbers] for name, numbers in rows.items()]
                print(f"{way.name}: {part}, {rows[way.name][place]:.3g} s", flush=True)
    if given.small:
        print("\n".join(markdown(table)))
        return
    name = f"device_{jax.default_backend()}"
    save(name, "python -m benchmarks.gpu", [], tables=[table])
    print("\n".join(_ratios()))


def _ways() -> list[Way]:
    """Both precisions, on one device and on all; a CPU has one precision."""
    of_all = dict.fromkeys([local_devices(1), local_devices()])
    precisions = PRECISIONS[:1] if jax.default_backend() == "cpu" else PRECISIONS
    return [Way(precision, devices) for devices in of_all for precision in precisions]


def _table(small: bool) -> dict[str, Any]:
    board = "on 6×6, for a trial" if small else "; ".join(map(": ".join, PARTS.items()))
    kind = jax.devices()[0].device_kind
    return {"title": f"Seconds on {kind}; {board}", "columns": COLUMNS, "rows": []}


def _of_board(way: Way, small: bool) -> tuple[Any, Learner]:
    changes = {"precision": way.precision, **(SMALL if small else {})}
    settings = resolve({**BOARD, **changes})
    return settings, Learner(settings, way.devices)


def _iteration(way: Way, small: bool) -> float:
    _, learner = _of_board(way, small)
    keys = streams.run_keys(0)
    run = cast(SeedRun, type("Seed", (), {"keys": keys}))
    steps = LockStep(learner, [run], [learner.init(keys.init)])
    return _median(lambda: steps.advance(0, 1, 1))


def _samples(way: Way, small: bool) -> float:
    settings, learner = _of_board(way, small)
    keys = streams.run_keys(0)
    chunks = meta_gradients_of(measured_by(learner, settings))
    state = learner.init(keys.init)
    drawn = streams.samples(keys.probe, 0, settings.probe.samples)
    return _median(lambda: chunks.sample(state, drawn, progress=lambda _: None))


@spectra.one_lapack_thread
def _probe(way: Way, small: bool) -> float:
    settings, learner = _of_board(way, small)
    keys, probe = streams.run_keys(0), probe_of(learner, settings)
    state = learner.placed(learner.init(keys.init))
    for t in range(20):  # Adam's first steps are signs, and their spectra easy
        state, _ = learner.step(state, learner.keys_at(keys.train, t))
    state = way.devices.first(state)
    nobody = {"keys": keys, "progress": lambda _: None}
    return _median(lambda: probe(state, 20, **nobody)["mean"].values, repeats=1)


def _study(way: Way, small: bool) -> float:
    settings = STUDY | {"precision": way.precision}
    grid = Grid(settings, {"n": [1] if small else [1, 5], "seed": [0, 1]})
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        study = Study(
            StudyDirectory.create(Path(folder) / "study", grid, {}),
            grid.cells(),
            command="python -m benchmarks.gpu",
            observer=StudyObserver(),
            stop=StopRequest(),
            publish=lambda _: None,
            devices=way.devices.number,
        )
        assert study.go() == 0
        return time.perf_counter() - began


MEASURE: dict[str, Callable[[Way, bool], float]] = {
    "iteration": _iteration,
    "samples": _samples,
    "probe": _probe,
    "study": _study,
}


def _median(call: Callable[[], Any], *, repeats: int = 5) -> float:
    """Of a call that is compiled by the first one, which does not count."""
    return medians({"": call}, repeats=repeats)[""]


def _ratios() -> Iterator[str]:
    """Seconds of the CPU over those of whatever else was measured, where both were."""
    kept = {file.stem: json.loads(file.read_text()) for file in RESULTS.glob("device_*.json")}
    cpu = kept.pop("device_cpu", None)
    for name, record in kept.items() if cpu else ():
        (there,), (here,) = record["tables"], cpu["tables"]
        base = here["rows"][0][1:]
        rows = [
            [row[0], *(a / b if a and b else None for a, b in zip(base, row[1:], strict=True))]
            for row in there["rows"]
        ]
        title = f"The CPU's seconds over those of {name.removeprefix('device_')}"
        yield from ["", *markdown({"title": title, "columns": COLUMNS, "rows": rows})]


if __name__ == "__main__":
    main()
