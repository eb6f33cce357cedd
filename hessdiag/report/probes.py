"""What the figures and tables ask of a list of probes."""

from collections.abc import Sequence

import numpy as np
import xarray as xr


def iteration(probe: xr.Dataset) -> int:
    """The training iteration at which a probe was taken."""
    return int(probe.attrs["iteration"])


def iterations(probes: Sequence[xr.Dataset]) -> np.ndarray:
    """The training iterations of several probes."""
    return np.array([iteration(probe) for probe in probes])


def having(probes: Sequence[xr.Dataset], *names: str) -> list[xr.Dataset]:
    """The probes that hold all of the named variables, none of them empty."""
    return [p for p in probes if all(name in p and p[name].size for name in names)]


def early_middle_late(probes: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """The first, the middle and the last probe; fewer when there are fewer."""
    if not probes:
        return []
    chosen = sorted({0, len(probes) // 2, len(probes) - 1})
    return [probes[index] for index in chosen]


def headline_estimator(probe: xr.Dataset) -> str:
    """The estimator whose growth the predictions are compared with."""
    names = [str(name) for name in probe["estimator"].values]
    wanted = probe.attrs.get("headline_estimator")
    return str(wanted) if wanted in names else names[0]


def last_horizon(probe: xr.Dataset) -> int:
    """The longest horizon n of a probe."""
    return int(probe["horizon"].values[-1])


def without_infinities(probe: xr.Dataset) -> xr.Dataset:
    """A probe that can be drawn: NaN, which leaves a gap, in place of infinities."""
    endless = {
        name: probe[name].where(~np.isinf(probe[name]))
        for name in probe.data_vars
        if probe[name].dtype.kind == "f" and np.isinf(probe[name].values).any()
    }
    return probe.assign(endless) if endless else probe


def labels(probes: Sequence[xr.Dataset], dimension: str) -> list[str]:
    """The labels of a dimension over all probes, in order of first appearance."""
    seen = (str(x) for p in probes if dimension in p.coords for x in p[dimension].values)
    return list(dict.fromkeys(seen))


def confidence(probes: Sequence[xr.Dataset]) -> str:
    """The level of the intervals as text, such as `95 %`."""
    level = probes[0].attrs.get("confidence", 0.95) if probes else 0.95
    return f"{100 * float(level):g} %"
