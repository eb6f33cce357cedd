"""The operators of a probe's inner steps, and the norms of their products, in full."""

import numpy as np
import xarray as xr

from hessdiag.report.numbers import MISSING, plain, with_error
from hessdiag.report.operators import NORM, RADIUS, products_of_radii
from hessdiag.report.probes import having
from hessdiag.report.run_data import RunData
from hessdiag.report.tables.table import Table


def operator_table(probe: xr.Dataset) -> Table | None:
    """Spectral radius and normality: a row per inner step, unroll and operator."""
    if not having([probe], RADIUS):
        return None
    columns = {
        "ρ − 1 ± bound": lambda at: _valued(at, RADIUS, "operator_radius_error"),
        "to first order": _estimated,
        "ρ > 1": lambda at: _word(at, "operator_exceeds_one"),
        "≈ ρ > 1": lambda at: _word(at, "operator_exceeds_one_first_order"),
        "departure": lambda at: _valued(at, "departure", "departure_se"),
        "‖A − I‖": lambda at: _plain(at, "operator_frobenius"),
        "matvecs": lambda at: _whole(at, "operator_matvecs"),
        "converged": lambda at: _reached(at, "operator_converged"),
    }
    return _table(probe, "inner_step", "j", columns)


def product_table(probe: xr.Dataset) -> Table | None:
    """Norms of products: a row per term, unroll and operator; not for P_1, the identity."""
    if not having([probe], NORM) or probe.sizes["term"] < 2:
        return None
    columns = {
        "‖P‖ − 1 ± bound": lambda at: _valued(at, NORM, "product_norm_error"),
        "‖P‖ > 1": lambda at: _word(at, "product_exceeds_one"),
        "Π ρ − 1": lambda at: _plain(at, "radius_product_minus_one"),
        "matvecs": lambda at: _whole(at, "product_matvecs"),
        "converged": lambda at: _reached(at, "product_converged"),
    }
    return _table(products_of_radii(probe).isel(term=slice(1, None)), "term", "i", columns)


def operator_note(data: RunData) -> str:
    """How many products the operators other than the paper's took, and whether they converged."""
    spent, reached = [], []
    for probe in having(data.probes, "operator_matvecs", "operator_converged"):
        others = probe["operator"].values.astype(str) != "paper"
        chosen = probe.isel(operator=np.flatnonzero(others))
        spent.append(chosen["operator_matvecs"].values.ravel())
        reached.append(chosen["operator_converged"].values.ravel() != 0)
    matvecs = np.concatenate(spent) if spent else np.empty(0)
    if not matvecs.size:
        return ""
    converged = int(np.concatenate(reached).sum())
    low, high = int(matvecs.min()), int(matvecs.max())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    met = "all of them" if converged == matvecs.size else f"{converged:,} of them"
    return (
        f"{matvecs.size:,} such spectra by Arnoldi, each from {each} products; the outermost "
        f"eigenvalue met the tolerance in {met}."
    )


def _table(probe: xr.Dataset, along: str, symbol: str, columns: dict) -> Table:
    """A row per step or term, unroll (named where there are several) and operator."""
    unrolls = probe.sizes["operator_unroll"]
    rows = []
    for place in range(probe.sizes[along]):
        for unroll in range(unrolls):
            for index, name in enumerate(probe["operator"].values.astype(str)):
                at = probe.isel({along: place, "operator_unroll": unroll, "operator": index})
                label = str(at[along].values) if along in probe.coords else str(place)
                where = f"{label}, {unroll}" if unrolls > 1 else label
                rows.append((f"{where}, {name}", *(cell(at) for cell in columns.values())))
    first = f"{symbol}, unroll, operator" if unrolls > 1 else f"{symbol}, operator"
    return Table((first, *columns), rows)


def _valued(at: xr.Dataset, name: str, error: str) -> str:
    if name not in at:
        return MISSING
    return with_error(float(at[name]), float(at[error]) if error in at else None)


def _estimated(at: xr.Dataset) -> str:
    if "operator_radius_estimate" not in at:
        return MISSING
    text = _valued(at, RADIUS, "operator_radius_estimate")
    return text if text == MISSING else f"≈ {text}"


def _word(at: xr.Dataset, name: str) -> str:
    return str(at[name].values) if name in at else MISSING


def _plain(at: xr.Dataset, name: str) -> str:
    return plain(float(at[name])) if name in at else MISSING


def _whole(at: xr.Dataset, name: str) -> str:
    return f"{int(at[name]):,}" if name in at else MISSING


def _reached(at: xr.Dataset, name: str) -> str:
    if name not in at:
        return MISSING
    return "yes" if int(at[name]) else "capped"
