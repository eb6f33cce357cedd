"""Tiny runs, driven to their end or to a signal, and the comparison of two runs."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from hessdiag.devices import ONE, Devices
from hessdiag.record.run_directory import RunDirectory
from hessdiag.train.interrupt import StopRequest
from hessdiag.train.launch import reopen, start
from hessdiag.train.presets import resolve
from hessdiag.train.run import Run
from hessdiag.train.seed_run import Observer, SeedRun
from hessdiag.train.settings import Settings

TINY = {
    "env": "mrp",
    "n": 2,
    "train.iterations": 6,
    "probe.at": [3],
    "probe.samples": 3,
    "probe.chunk": 2,
    "probe.resamples": 100,
    "probe.operators": [],
    "probe.products": False,
    "problem.batch_size": 3,
}
SNAKE = {
    "env": "snake",
    "n": 2,
    "train.iterations": 4,
    "probe.at": [2],
    "probe.samples": 3,
    "probe.max_matvecs": 6,
    "probe.operators": ["augmented"],
    "probe.products": False,
    "probe.resamples": 100,
    "problem.rows": 4,
    "problem.cols": 4,
    "problem.batch_size": 3,
    "problem.rollout_length": 4,
    "problem.maps": 4,
    "problem.torso": 6,
    "problem.head": 5,
}


def fresh(
    path: Path,
    settings: Mapping[str, Any],
    observer: Observer | None = None,
    devices: Devices = ONE,
) -> Path:
    """Start a run in `path` and drive it to its end."""
    resolved = resolve(settings)
    directory = start(resolved, path, command="hessdiag run", devices=devices)
    return _driven(resolved, directory, observer, devices)


def resume(path: Path, observer: Observer | None = None, devices: Devices = ONE) -> Path:
    """Drive the run in `path` on to its end."""
    opened = reopen(path, command="hessdiag run --resume", devices=devices)
    return _driven(*opened, observer, devices)


def _driven(
    settings: Settings, directory: RunDirectory, observer: Observer | None, devices: Devices
) -> Path:
    with StopRequest() as stop:
        run = SeedRun(settings, directory, observer or Observer())
        Run([run], stop=stop, devices=devices).go()
    return directory.path


def metrics(path: Path) -> bytes:
    return (path / "metrics.jsonl").read_bytes()


def probes(path: Path) -> dict[str, xarray.Dataset]:
    """The probes by file name."""
    return {
        file.name: xarray.load_dataset(file, engine="h5netcdf")
        for file in sorted((path / "probes").iterdir())
    }


def assert_same_run(actual: Path, expected: Path) -> None:
    """Metrics agree to the byte; probes in every value, label and attribute."""
    assert metrics(actual) == metrics(expected)
    actual_probes, expected_probes = probes(actual), probes(expected)
    assert actual_probes.keys() == expected_probes.keys()
    for name, probe in actual_probes.items():
        assert probe.identical(expected_probes[name]), name


class SignalAt(Observer):
    """Sends this process a signal when a phase has reached `done`."""

    def __init__(self, number: int, phase: str, done: int):
        self._number = number
        self._at = (phase, done)

    def on_phase(self, phase: str, done: int, total: int) -> None:
        del total
        if (phase, done) == self._at:
            os.kill(os.getpid(), self._number)


def assert_same_but_for_rounding(actual: Path, expected: Path) -> None:
    """Metrics agree, record by record, to what another order of summation leaves."""
    records = [
        [flatten(json.loads(line)) for line in metrics(path).splitlines()]
        for path in (actual, expected)
    ]
    assert len(records[0]) == len(records[1]) > 0
    for one, other in zip(*records, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert value == pytest.approx(other[key], rel=1e-3, abs=1e-6), key


def flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    """Nested numbers by dotted key."""
    flat = {}
    for key, value in record.items():
        inner = flatten(value) if isinstance(value, Mapping) else {"": value}
        flat |= {f"{key}.{name}": number for name, number in inner.items()}
    return flat


def records(path: Path) -> dict[str, np.ndarray]:
    """Every number of the metrics, over iterations; NaN where there is none."""
    rows = [flatten(json.loads(line)) for line in metrics(path).splitlines()]
    return {
        key: np.array([np.nan if row[key] is None else row[key] for row in rows], float)
        for key in rows[0]
    }
