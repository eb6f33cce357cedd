"""Every probe in one line, and the chosen ones in full."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from hessdiag.report.csv_text import long_rows
from hessdiag.report.numbers import MISSING, plain, with_error, with_interval
from hessdiag.report.probes import having, headline_estimator, iteration
from hessdiag.report.run_data import RunData
from hessdiag.report.tables.table import Table

_RADIUS = "spectral_radius_minus_one"
_Cell = Callable[[xr.Dataset], str]


def probe_table(data: RunData) -> Table:
    """One row per probe; of several spectra in a probe, the most extreme eigenvalue.

    Args:
        data: The run.

    Returns:
        The table; a column that no probe can fill is left out.
    """
    columns = [
        (heading, [cell(probe) for probe in data.probes]) for heading, cell in _columns().items()
    ]
    columns = [column for column in columns if set(column[1]) != {MISSING}]
    cells = list(zip(*(values for _, values in columns), strict=True))
    return Table([heading for heading, _ in columns], cells)


def spectrum_rows(data: RunData) -> list[dict[str, Any]]:
    """Every number of every spectrum's summary: a row per probe, unroll and inner step."""
    steps = {"unroll", "inner_step"}
    names = [name for p in data.probes for name in p if set(p[name].dims) <= steps]
    return long_rows(data.probes, list(dict.fromkeys(map(str, names))), ("unroll", "inner_step"))


def step_table(probe: xr.Dataset) -> Table | None:
    """The spectra of one probe: a row per inner step and unroll."""
    if not having([probe], _RADIUS):
        return None
    columns = {
        "α": lambda at: plain(float(at["learning_rate"])),
        "λ min − 1": lambda at: _valued(at, "paper_low"),
        "λ max − 1": lambda at: _valued(at, "paper_high"),
        "ρ − 1": lambda at: _valued(at, _RADIUS),
        "ρ > 1": lambda at: str(at["exceeds_one"].values) if "exceeds_one" in at else MISSING,
        "share > 0": lambda at: _valued(at, "mass_above_zero", suffix="_se"),
        "side open": lambda at: _valued(at, "mass_undecided", suffix="_se"),
        "matvecs": lambda at: str(int(at["matvecs"])) if "matvecs" in at else MISSING,
        "converged": lambda at: _yes(at["converged"]) if "converged" in at else MISSING,
    }
    rows = []
    for step in range(probe.sizes["inner_step"]):
        for unroll in range(probe.sizes["unroll"]):
            at = probe.isel(inner_step=step, unroll=unroll)
            rows.append((f"{step}, {unroll}", *(cell(at) for cell in columns.values())))
    return Table(("j, unroll", *columns), rows)


def horizon_table(probe: xr.Dataset) -> Table | None:
    """The variance of one probe: a row per estimator and horizon."""
    if not having([probe], "std", "growth"):
        return None
    names = probe["meta_parameter"].values.astype(str)
    rows = []
    for estimator in probe["estimator"].values.astype(str):
        for horizon in probe["horizon"].values.tolist():
            at = probe.sel(estimator=estimator, horizon=horizon)
            stds = (_interval(at.sel(meta_parameter=name), "std") for name in names)
            rows.append((f"{estimator}, {horizon}", _interval(at, "growth"), *stds))
    return Table(("estimator, horizon", "growth", *(f"std {name}" for name in names)), rows)


def solver_note(data: RunData) -> str:
    """How many Hessian–vector products the spectra took, and whether they converged."""
    probes = having(data.probes, "matvecs", "converged")
    if not probes:
        return ""
    matvecs = np.concatenate([probe["matvecs"].values.ravel() for probe in probes])
    converged = np.concatenate([probe["converged"].values.ravel() for probe in probes]) != 0
    low, high = int(matvecs.min()), int(matvecs.max())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    note = f"{matvecs.size:,} spectra, each from {each} Hessian–vector products. "
    if converged.all():
        return note + "The extreme eigenvalues converged in all of them."
    return note + (
        f"Extreme eigenvalues converged in {int(converged.sum()):,} of them and met the limit of "
        f"products first in {int((~converged).sum()):,}, whose error bars are wider."
    )


def _columns() -> dict[str, _Cell]:
    return {
        "iteration": lambda probe: f"{iteration(probe):,}",
        "α": _rate,
        "growth at n": _growth,
        "λ min − 1": lambda probe: _extreme(probe, "paper_low", np.argmin),
        "λ max − 1": lambda probe: _extreme(probe, "paper_high", np.argmax),
        "ρ − 1": lambda probe: _extreme(probe, _RADIUS, np.argmax),
        "ρ > 1": _counts,
        "share > 0": lambda probe: _mass(probe, "mass_above_zero"),
        "share < −2": lambda probe: _mass(probe, "mass_below_minus_two"),
        "side open": lambda probe: _mass(probe, "mass_undecided"),
        "matvecs": _matvecs,
        "converged": _converged,
    }


def _rate(probe: xr.Dataset) -> str:
    if not having([probe], "learning_rate"):
        return MISSING
    return plain(float(probe["learning_rate"].values[0]))


def _extreme(probe: xr.Dataset, name: str, pick: Callable[[np.ndarray], np.intp]) -> str:
    if not having([probe], name):
        return MISSING
    values = probe[name].values.ravel()
    if not np.isfinite(values).any():
        return MISSING
    fill = -np.inf if pick is np.argmax else np.inf
    place = int(pick(np.where(np.isfinite(values), values, fill)))
    errors = probe[f"{name}_error"].values.ravel() if f"{name}_error" in probe else None
    return with_error(float(values[place]), None if errors is None else float(errors[place]))


def _counts(probe: xr.Dataset) -> str:
    if not having([probe], "exceeds_one"):
        return MISSING
    found = probe["exceeds_one"].values.astype(str).ravel().tolist()
    parts = [f"{found.count(word)} {word}" for word in ("yes", "undecided", "no")]
    return ", ".join(part for part in parts if not part.startswith("0 "))


def _mass(probe: xr.Dataset, name: str) -> str:
    if not having([probe], name, f"{name}_se"):
        return MISSING
    return with_error(float(probe[name].mean()), float(probe[f"{name}_se"].mean()))


def _growth(probe: xr.Dataset) -> str:
    if not having([probe], "growth"):
        return MISSING
    return _interval(probe.isel(horizon=-1).sel(estimator=headline_estimator(probe)), "growth")


def _matvecs(probe: xr.Dataset) -> str:
    if not having([probe], "matvecs"):
        return MISSING
    low, high = int(probe["matvecs"].min()), int(probe["matvecs"].max())
    return f"{low}" if low == high else f"{low} to {high}"


def _converged(probe: xr.Dataset) -> str:
    if not having([probe], "converged"):
        return MISSING
    return f"{int((probe['converged'] != 0).sum())} of {probe['converged'].size}"


def _valued(at: xr.Dataset, name: str, *, suffix: str = "_error") -> str:
    if name not in at or f"{name}{suffix}" not in at:
        return MISSING
    return with_error(float(at[name]), float(at[f"{name}{suffix}"]))


def _interval(at: xr.Dataset, name: str) -> str:
    ends = [f"{name}{end}" for end in ("", "_low", "_high")]
    if any(end not in at for end in ends):
        return MISSING
    return with_interval(*(float(at[end]) for end in ends))


def _yes(flag: xr.DataArray) -> str:
    return "yes" if int(flag) else "capped"
