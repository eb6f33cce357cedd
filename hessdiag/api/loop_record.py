"""What is recorded of a training loop of one's own, in the form of a run."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray

from hessdiag.errors import UsageError
from hessdiag.meta.system import named_entries
from hessdiag.record.atomic import write_atomically
from hessdiag.record.documents import dotted, read_lines
from hessdiag.record.provenance import provenance
from hessdiag.record.run_directory import RunDirectory, RunRecord, read_run
from hessdiag.report import write_report
from hessdiag.train.seed_run import headline, plain_number
from hessdiag.train.self_test import require_sound_compiler
from hessdiag.train.settings import Settings

_CHOICES = (
    "Every i-step meta-gradient is validated on a batch of its own, independent of those that the "
    "inner updates learn from.",
    "Meta-gradients and their standard deviations are with respect to η as the loop has it.",
    "E2 takes the products over the last inner steps of the longest unroll for those of shorter "
    "ones, which end earlier.",
)
_SHARED = ("env", "n", "seed")  # settings that all probes of one directory have alike


@dataclasses.dataclass(frozen=True)
class Loop:
    """What all records of one loop say."""

    settings: Settings  # of its probes
    names: Sequence[str]  # of the entries of η, where these are few
    headline: str  # the metric that reports show

    def run(self, probes: Sequence[xarray.Dataset]) -> RunRecord:
        """The record of these probes alone, with no file behind it."""
        path, summary = Path(self.settings.env), _summary(probes)
        return RunRecord(path, self.config(probes), summary, pd.DataFrame(), tuple(probes))

    def config(self, probes: Sequence[xarray.Dataset] = ()) -> dict[str, Any]:
        """What config.json holds."""
        test = require_sound_compiler()
        names = [
            {"name": name, "start": None, "transform": "identity", "group": None}
            for name in self.names
        ]
        return {
            "settings": self.settings_after(probes),
            "provenance": provenance("hessdiag.Probe", compiler_self_test=test),
            "meta_parameters": names,
            "problem": {"description": self.settings.env, "headline": self.headline},
            "our_choices": list(_CHOICES),
            "own_loop": True,  # so that nothing but the loop goes on with it
        }

    def settings_after(self, probes: Sequence[xarray.Dataset]) -> dict[str, Any]:
        """With the steps that are probed, and how far the loop has come."""
        settings, steps = dataclasses.asdict(self.settings), _steps(probes)
        settings["learning"] = {"optimiser": "the optimiser"}  # the loop's own
        settings["probe"]["at"], settings["train"]["iterations"] = steps, max(steps, default=0)
        return settings


class LoopDirectory:
    """The run directory of a loop, made where it is not there.

    Args:
        path: of the directory.
        loop: that is recorded.
        step: from which on what is recorded is forgotten: the loop goes on from there.

    Raises:
        UsageError: it is the directory of something else, or cannot be written.
    """

    def __init__(self, path: Path, loop: Loop, step: int):
        self._loop = loop
        self._directory = RunDirectory(path)
        if not path.exists():
            RunDirectory.create(path, loop.config())
            return
        there = dotted(RunDirectory.open(path).read_json("config.json").get("settings", {}))
        for key in _SHARED:
            value = getattr(loop.settings, key)
            if there.get(key) != value:
                raise UsageError(
                    f"directory: {path} has {key} = {there.get(key)!r}, this loop {value!r}; "
                    "allowed: a new directory, or one of this loop"
                )
        self._forget_from(step)

    def _forget_from(self, step: int) -> None:
        """Cut what is recorded; the summary counts nothing while that goes on."""
        directory, metrics = self._directory, self._directory.path / "metrics.jsonl"
        if summary := directory.summary():
            directory.write_json("summary.json", summary | {"record": None})
        earlier = [line for line, record in read_lines(metrics) if record["iteration"] < step]
        write_atomically(metrics, "".join(earlier))
        for probe in directory.probes():
            if probe >= directory.probe_file(step):
                probe.unlink()
        if probes := directory.read_probes():
            self._summarise(probes)

    def note(self, step: int, eta: Any, metrics: Mapping[str, float]) -> None:
        """Keep η and the loop's own figures of merit at a step."""
        hyper = {name: plain_number(value) for name, value in named_entries(eta).items()}
        values = {name: plain_number(value) for name, value in metrics.items()}
        record = {"iteration": step, "metrics": values, "hyper": hyper, "eta": hyper}
        self._directory.append_line("metrics.jsonl", record)

    def add(self, step: int, probe: xarray.Dataset) -> RunRecord:
        """Keep a probe, and make the report anew."""
        directory = self._directory
        directory.write_probe(step, probe)
        probes = directory.read_probes()
        settings = {"settings": self._loop.settings_after(probes)}
        directory.write_json("config.json", directory.read_json("config.json") | settings)
        directory.sync_lines()
        self._summarise(probes)
        write_report(directory.path)
        return read_run(directory.path)

    def _summarise(self, probes: Sequence[xarray.Dataset]) -> None:
        """Say how lines and probes read; not the settings, which change with every probe."""
        files = self._directory.record()["files"]
        summary = _summary(probes) | {"record": {"files": files}}
        self._directory.write_json("summary.json", summary)


def _summary(probes: Sequence[xarray.Dataset]) -> dict[str, Any]:
    last = max(_steps(probes))
    told = [headline(probe) for probe in probes]
    progress = {"iteration": last, "iterations": last, "message": None}
    return {"status": "finished", **progress, "probes": told}


def _steps(probes: Sequence[xarray.Dataset]) -> list[int]:
    return [int(probe.attrs["iteration"]) for probe in probes]
