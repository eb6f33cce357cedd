"""What the figures, tables and words ask of findings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis import Findings

PHASES = ("early", "middle", "late")
ESTIMATOR = "n-step"

Frame = Any  # a pandas.DataFrame: its own annotations call every selection a Series, too


def rows(findings: Findings, table: str, **wanted: Any) -> Frame:
    """The rows of a table that have the given values; none where it lacks the table or column."""
    frame: Frame = findings.tables.get(table)
    if frame is None or not set(wanted) <= set(frame.columns):
        return pd.DataFrame()
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame


def column(frame: Frame, name: str) -> np.ndarray:
    """A column as floats; NaN where it has none."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    return np.asarray(frame[name].to_numpy(), dtype=float)


def spread(findings: Findings, configuration: str, estimator: str = ESTIMATOR) -> Frame:
    """Growth by horizon over all of training, all meta-parameters together."""
    found = rows(
        findings,
        "spread",
        configuration=configuration,
        when="all",
        group="all",
        estimator=estimator,
    )
    return found.sort_values("horizon") if len(found) else found


def longest(findings: Findings, configuration: str) -> int:
    """The longest horizon that was measured; 0 where none was."""
    return _longest(findings).get(configuration, 0)


def measured(findings: Findings) -> list[str]:
    """The configurations whose noise was measured beyond one step; the furthest stands first."""
    last = _longest(findings)
    names = [name for name in findings.configurations if last.get(name, 0) > 1]
    return sorted(names, key=lambda name: -last[name])


def _longest(findings: Findings) -> dict[str, int]:
    found = rows(findings, "spread", when="all", group="all", estimator=ESTIMATOR)
    return found.groupby("configuration")["horizon"].max().to_dict() if len(found) else {}


def cuts(findings: Findings, configuration: str) -> Frame:
    """Growth at the longest horizon with each path of the derivative cut, over all of training."""
    found = rows(findings, "cuts", configuration=configuration, when="all")
    return found[found["horizon"] == found["horizon"].max()] if len(found) else found


def paper_formula(findings: Findings, configuration: str) -> tuple[np.ndarray, np.ndarray]:
    """Horizons, and the growth that the paper's formula predicts, geometric mean over probes."""
    wanted = {"configuration": configuration, "estimator": ESTIMATOR}
    found = rows(findings, "comparisons", explanation="E1 spectral radius", **wanted)
    if not len(found):
        return np.empty(0), np.empty(0)
    logs = np.log(found["predicted"].astype(float)).groupby(found["horizon"]).mean()
    return logs.index.to_numpy(dtype=float), np.exp(logs.to_numpy())


def probes(findings: Findings, *variables: str) -> list[xr.Dataset]:
    """The probes of the first run that hold all of the variables, none of them empty."""
    first = next(iter(findings.probes.values()), ())
    return [p for p in first if all(name in p and p[name].size for name in variables)]


def iteration(probe: xr.Dataset) -> int:
    """The training iteration at which a probe was taken."""
    return int(probe.attrs["iteration"])


def early_middle_late(found: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """The first, the middle and the last probe; fewer where there are fewer."""
    chosen = sorted({0, len(found) // 2, len(found) - 1}) if found else []
    return [found[index] for index in chosen]


def finite(probe: xr.Dataset) -> xr.Dataset:
    """A probe that can be drawn: NaN, which leaves a gap, in place of infinities."""
    endless = {
        name: probe[name].where(np.isfinite(probe[name]))
        for name in probe.data_vars
        if probe[name].dtype.kind == "f" and np.isinf(probe[name].values).any()
    }
    return probe.assign(endless) if endless else probe
