"""What the runs of one configuration measured, as one labelled dataset."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import xarray as xr

from hessdiag.analysis.phases import PHASES, phase_of
from hessdiag.record.run_directory import RunRecord
from hessdiag.record.study_directory import CellRecord

ALL = "all"
KEPT = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40)
"""Horizons kept where every probe or every iteration has its own rows, and the longest."""
LARGE = ("ritz_", "density", "cumulative", "operator_value_")
"""How the names of spectra begin, of which no table is made."""


@dataclass(frozen=True)
class Configuration:
    """The cells that differ by their seed alone, of those that have begun."""

    name: str  # what is varied but for the seed
    cells: Sequence[CellRecord]  # each with its run
    confidence: float  # level of the intervals

    @property
    def runs(self) -> list[RunRecord]:
        """Those of its cells."""
        return [cell.run for cell in self.cells if cell.run is not None]

    @property
    def settings(self) -> Mapping[str, Any]:
        """By dotted key, of its first run."""
        return self.runs[0].settings

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The meta-parameters that are averaged over."""
        return self.runs[0].groups

    @cached_property
    def probes(self) -> xr.Dataset:
        """All probes along "probe", with seed, iteration and phase as coordinates."""
        labelled = []
        for cell in self.cells:
            if cell.run is not None:
                phase = phase_of(cell.run, cell.iterations)
                labelled += [_labelled(probe, cell.seed, phase) for probe in cell.run.probes]
        together: dict[str, Any] = {"join": "outer", "compat": "override", "coords": "minimal"}
        return xr.concat(labelled, dim="probe", **together) if labelled else xr.Dataset()

    @cached_property
    def by_seed(self) -> xr.Dataset:
        """The same along "seed" and "iteration"; NaN where a seed has no probe."""
        indexed = self.probes.drop_vars("when").set_index(probe=("seed", "iteration"))
        return indexed.unstack("probe").transpose("seed", "iteration", ...)

    def having(self, *names: str) -> xr.Dataset | None:
        """The probes by seed, if they have these variables."""
        return self.by_seed if set(names) <= set(self.probes.data_vars) else None

    def by_phase(self, values: xr.DataArray) -> xr.DataArray:
        """Values (seed, iteration, …) along "when": of every phase that has probes, and of all."""
        when = self._phases.sel(seed=values.seed, iteration=values.iteration)
        names = [phase for phase in PHASES if (when == phase).any()] + [ALL]
        masks = [(when == name) | (name == ALL) for name in names]
        return values.where(xr.concat(masks, pd.Index(names, name="when")))

    @cached_property
    def _phases(self) -> xr.DataArray:
        """The phase of every probe along "seed" and "iteration"; empty where a seed has none."""
        names = ["seed", "iteration"]
        places = [self.probes[name].values for name in names]
        index = pd.MultiIndex.from_arrays(places, names=names)
        return xr.DataArray.from_series(pd.Series(self.probes.when.values, index)).fillna("")


def _labelled(probe: xr.Dataset, seed: int, phase: Callable[[int], str]) -> xr.Dataset:
    iteration = int(probe.attrs["iteration"])
    kept = probe[[str(name) for name in probe.data_vars if not str(name).startswith(LARGE)]]
    kept = kept.assign(samples=int(probe.attrs["samples"]))
    place = {"seed": seed, "iteration": iteration, "when": phase(iteration)}
    coordinates = {name: ("probe", [value]) for name, value in place.items()}
    return kept.expand_dims("probe").assign_coords(coordinates)
