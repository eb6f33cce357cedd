"""What the runs of one configuration measured, as one labelled dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from hessdiag.record.run_directory import RunRecord
from hessdiag.record.study_directory import CellRecord

PHASES = ("early", "middle", "late")
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
        """All probes along "probe", with seed, iteration and third of training as coordinates."""
        labelled = [
            _labelled(probe, cell) for cell in self.cells if cell.run for probe in cell.run.probes
        ]
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
        """Values (seed, iteration, …) along "when": of every third that has probes, and of all."""
        when = self.probes.when.values.astype(str)
        names = [phase for phase in PHASES if phase in when] + [ALL]
        phases = dict(zip(self.probes.iteration.values.tolist(), when.tolist(), strict=True))
        of_iteration = np.array([phases[t] for t in values.iteration.values.tolist()])
        masks = [(of_iteration == name) | (name == ALL) for name in names]
        axes = {"when": names, "iteration": values.iteration}
        return values.where(xr.DataArray(np.stack(masks), axes, [*axes]))


def _labelled(probe: xr.Dataset, cell: CellRecord) -> xr.Dataset:
    iteration = int(probe.attrs["iteration"])
    kept = probe[[str(name) for name in probe.data_vars if not str(name).startswith(LARGE)]]
    kept = kept.assign(samples=int(probe.attrs["samples"]))
    place = {"seed": cell.seed, "iteration": iteration, "when": third(iteration, cell.iterations)}
    coordinates = {name: ("probe", [value]) for name, value in place.items()}
    return kept.expand_dims("probe").assign_coords(coordinates)


def third(iteration: int, iterations: int) -> str:
    """The third of training that an iteration lies in."""
    return PHASES[min(3 * iteration // max(iterations, 1), 2)]
