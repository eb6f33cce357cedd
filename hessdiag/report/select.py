"""What the figures, tables and words ask of findings and of their probes."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis import Findings

ESTIMATOR = "n-step"
RADIUS = "operator_radius_minus_one"
NORM = "product_norm_minus_one"
_STEPS = ("operator_unroll", "inner_step")

Frame = Any  # a pandas.DataFrame: its own annotations call every selection a Series, too
Bounds = Sequence[np.ndarray]  # values, and the lower and upper ends of their intervals


def rows(findings: Findings, table: str, **wanted: Any) -> Frame:
    """The rows of a table that have the given values; none where it lacks the table or column."""
    frame: Frame = findings.tables.get(table)
    if frame is None or not set(wanted) <= set(frame.columns):
        return pd.DataFrame()
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    return frame


def column(frame: Frame, name: str) -> np.ndarray:
    """A column as floats; NaN where it has none."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    return np.asarray(frame[name].to_numpy(), dtype=float)


def columns(frame: Frame, *names: str) -> list[np.ndarray]:
    """Several of them."""
    return [column(frame, name) for name in names]


def bounds(frame: Frame, name: str) -> Bounds:
    """A column and the ends of its intervals."""
    return columns(frame, name, f"{name}_low", f"{name}_high")


def spread(findings: Findings, configuration: str, estimator: str = ESTIMATOR) -> Frame:
    """Growth by horizon over all of training, all meta-parameters together."""
    wanted = {"configuration": configuration, "estimator": estimator}
    frame = rows(findings, "spread", when="all", group="all", **wanted)
    return frame.sort_values("horizon") if len(frame) else frame


def longest(findings: Findings, configuration: str) -> int:
    """The longest horizon that was measured; 0 where none was."""
    return _longest(findings).get(configuration, 0)


def measured(findings: Findings) -> list[str]:
    """The configurations whose noise was measured beyond one step; the furthest stands first."""
    last = _longest(findings)
    names = [name for name in findings.configurations if last.get(name, 0) > 1]
    return sorted(names, key=lambda name: -last[name])


def is_across(findings: Findings) -> bool:
    """Whether the noise of several problems was measured."""
    return "env" in findings.varied and len(measured(findings)) > 1


def _longest(findings: Findings) -> dict[str, int]:
    frame = rows(findings, "spread", when="all", group="all", estimator=ESTIMATOR)
    return frame.groupby("configuration")["horizon"].max().to_dict() if len(frame) else {}


def cuts(findings: Findings, configuration: str) -> Frame:
    """Growth at the longest horizon with each path of the derivative cut, over all of training."""
    frame = rows(findings, "cuts", configuration=configuration, when="all")
    return frame[frame["horizon"] == frame["horizon"].max()] if len(frame) else frame


def paper_formula(findings: Findings, configuration: str) -> tuple[np.ndarray, np.ndarray]:
    """Horizons, and the growth that the paper's formula predicts, geometric mean over probes."""
    wanted = {"configuration": configuration, "estimator": ESTIMATOR}
    frame = rows(findings, "comparisons", explanation="E1 spectral radius", **wanted)
    if not len(frame):
        return np.empty(0), np.empty(0)
    logs = np.log(frame["predicted"].astype(float)).groupby(frame["horizon"]).mean()
    return logs.index.to_numpy(dtype=float), np.exp(logs.to_numpy())


def probes(findings: Findings, *variables: str) -> list[xr.Dataset]:
    """The probes of the first run that hold some number of every one of the variables."""
    first = next(iter(findings.probes.values()), ())
    return [probe for probe in first if all(_is_there(probe, name) for name in variables)]


def _is_there(probe: xr.Dataset, name: str) -> bool:
    if name not in probe:
        return False
    values = probe[name].values
    return bool(np.isfinite(values).any()) if values.dtype.kind == "f" else values.size > 0


def iteration(probe: xr.Dataset) -> int:
    """The training iteration at which a probe was taken."""
    return int(probe.attrs["iteration"])


def finite(probe: xr.Dataset) -> xr.Dataset:
    """A probe that can be drawn: NaN, which leaves a gap, in place of infinities."""
    floats = {str(name): a for name, a in probe.data_vars.items() if a.dtype.kind == "f"}
    finite = {name: np.where(np.isfinite(a.values), a.values, np.nan) for name, a in floats.items()}
    return probe.assign({name: a.copy(data=finite[name]) for name, a in floats.items()})


def long_rows(
    probes: Iterable[xr.Dataset], variables: Sequence[str], dimensions: Sequence[str]
) -> list[dict[Any, Any]]:
    """One row per probe and index, with the iteration; what a probe lacks is left out."""
    records = []
    for probe in probes:
        held = probe[[name for name in variables if name in probe]].reset_coords(drop=True)
        if held:
            used = [name for name in dimensions if name in held.dims]
            table = held.to_dataframe(dim_order=used).reset_index()
            table.insert(0, "iteration", iteration(probe))
            records += table.to_dict("records")
    return records


def operators(probes: Sequence[xr.Dataset], variable: str) -> list[str]:
    """The operators that some probe holds the variable for, in order of first appearance."""
    held = (p["operator"].values for p in probes if variable in p and "operator" in p.coords)
    return list(dict.fromkeys(str(name) for names in held for name in names))


def of_operator(probe: xr.Dataset, variable: str, name: str) -> np.ndarray:
    """(unroll, inner step, …) of one operator; NaN where the probe has none."""
    if name not in operators([probe], variable):
        return np.full([probe.sizes.get(dimension, 0) for dimension in _STEPS], np.nan)
    return probe[variable].sel(operator=name).transpose(*_STEPS, ...).values


def shown_error(
    value: np.ndarray, bound: np.ndarray, estimate: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The errors of values that tell a reader more, and where they are the bounds.

    Bounds tell more than first-order estimates (NaN where there are none) unless they are infinite,
    or beyond both the value and twice the estimate.
    """
    telling = bound <= np.fmax(2 * estimate, np.abs(value))
    bounded = np.isfinite(bound) & (telling | ~np.isfinite(estimate))
    return np.where(bounded, bound, estimate), bounded
