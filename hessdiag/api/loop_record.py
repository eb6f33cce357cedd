"""What is recorded of a training loop of one's own, in the form of a run."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray

from hessdiag.errors import UsageError
from hessdiag.meta import System
from hessdiag.meta.system import named_entries, shown
from hessdiag.record.documents import dotted
from hessdiag.record.provenance import provenance
from hessdiag.record.run_directory import RunDirectory, RunRecord, read_run
from hessdiag.report import write_report
from hessdiag.train.seed_run import headline
from hessdiag.train.self_test import require_sound_compiler
from hessdiag.train.settings import Settings

CHOICES = (
    "Every i-step meta-gradient is validated on a batch of its own, independent of those that the "
    "inner updates learn from.",
    "Meta-gradients and their standard deviations are with respect to η as the loop has it.",
    "E2 takes the products over the last inner steps of the longest unroll for those of shorter "
    "ones, which end earlier.",
)


@dataclasses.dataclass(frozen=True)
class LoopRecord:
    """The record of one loop, in memory or in a directory.

    Attributes:
        system: the loop's functions and its inner update.
        settings: of the probes.
        directory: where it is kept; None for nowhere.
    """

    system: System
    settings: Settings
    directory: RunDirectory | None = None

    @classmethod
    def of(cls, system: System, settings: Settings) -> "LoopRecord":
        """One that is kept nowhere yet."""
        return cls(system, settings)

    def held(self, probes: Sequence[xarray.Dataset]) -> RunRecord:
        """The record of these probes alone, with no file behind it."""
        return RunRecord(
            path=Path(self.settings.env),
            config=self._config(probes),
            summary=_summary(probes),
            metrics=pd.DataFrame(),
            probes=tuple(probes),
        )

    def at(self, path: Path) -> "LoopRecord":
        """The same in a directory, which is made where it is not there.

        Raises:
            UsageError: it is the directory of something else, or cannot be written.
        """
        if path.exists():
            directory = RunDirectory.open(path)
            there = dotted(directory.read_json("config.json").get("settings", {}))
            for key, value in self._identity().items():
                if there.get(key) != value:
                    raise UsageError(
                        f"directory: {path} has {key} = {there.get(key)!r}, this loop {value!r}; "
                        "allowed: a new directory, or one of this loop"
                    )
        else:
            directory = RunDirectory.create(path, self._config())
        return dataclasses.replace(self, directory=directory)

    def note(self, step: int, eta: Any, metrics: Mapping[str, float]) -> None:
        """Keep the loop's own figures of merit at a step."""
        hyper = {name: float(value) for name, value in named_entries(eta).items()}
        values = {name: float(value) for name, value in metrics.items()}
        record = {"iteration": step, "metrics": values, "hyper": hyper, "eta": hyper}
        self._directory.append_line("metrics.jsonl", record)

    def add(self, step: int, probe: xarray.Dataset) -> RunRecord:
        """Keep a probe, and make the report anew."""
        self._directory.write_probe(step, probe)
        probes = self._directory.read_probes()
        config = self._directory.read_json("config.json")
        self._directory.write_json("config.json", config | {"settings": self._settings(probes)})
        self._directory.write_json("summary.json", _summary(probes))
        write_report(self._directory.path)
        return read_run(self._directory.path)

    @property
    def _directory(self) -> RunDirectory:
        assert self.directory is not None
        return self.directory

    def _identity(self) -> dict[str, Any]:
        """The settings that all probes of one directory share."""
        return {key: getattr(self.settings, key) for key in ("env", "n", "seed")}

    def _config(self, probes: Sequence[xarray.Dataset] = ()) -> dict[str, Any]:
        return {
            "settings": self._settings(probes),
            "provenance": provenance("hessdiag.Probe", compiler_self_test=require_sound_compiler()),
            "meta_parameters": [
                {"name": name, "start": None, "transform": "identity", "group": None}
                for name in shown(self.system.names)
            ],
            "problem": {"description": self.settings.env, "headline": "outer_loss"},
            "our_choices": list(CHOICES),
        }

    def _settings(self, probes: Sequence[xarray.Dataset]) -> dict[str, Any]:
        """With the steps that are probed, and how far the loop has come."""
        steps = [int(probe.attrs["iteration"]) for probe in probes]
        settings = dataclasses.asdict(self.settings)
        settings["probe"]["at"], settings["train"]["iterations"] = steps, max(steps, default=0)
        return settings


def _summary(probes: Sequence[xarray.Dataset]) -> dict[str, Any]:
    steps = [int(probe.attrs["iteration"]) for probe in probes]
    return {
        "status": "finished",
        "iteration": max(steps),
        "iterations": max(steps),
        "message": None,
        "probes": [headline(probe) for probe in probes],
    }
