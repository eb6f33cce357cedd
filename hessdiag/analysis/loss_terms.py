"""The curvature of each term of the inner loss."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.findings import FAILS, HOLDS, UNDECIDED, Answer, Quantity
from hessdiag.analysis.finite import median
from hessdiag.analysis.frames import Row
from hessdiag.analysis.measured import ALL, Configuration
from hessdiag.analysis.phases import PHASES
from hessdiag.analysis.questions import Measured, answer

WHOLE = "whole loss"
"""Beside the terms stands their sum."""

_NAMES = ("lowest", "highest", "edge_share", "trace_share")
_OF_PROBES = ("hessian_min", "hessian_max", "learning_rate")

Columns = dict[str, np.ndarray]


def loss_term_table(of: Configuration) -> pd.DataFrame:
    """Ends of the spectrum of α times each term's Hessian, and its shares of edge and trace.

    Of every number the median of the probes' first inner steps, with the largest of their bounds;
    and at how many of them a term surely has the largest share of the edge. The whole loss follows.
    """
    if "loss_term_highest" not in of.probes:
        return pd.DataFrame()
    rows = []
    for when in (*PHASES, ALL):
        probes = of.probes.isel(probe=(of.probes.when == when) | (when == ALL))
        if probes.sizes["probe"] and np.isfinite(probes.loss_term_highest).any():
            rows += [{"when": when, **row} for row in _of_phase(probes)]
    return pd.DataFrame(rows)


def _of_phase(probes: xr.Dataset) -> Iterator[dict[str, Any]]:
    """A row per term, and one of the whole loss if it was measured."""
    nearest = surely_largest(*_stacked(probes, "loss_term_edge_share"))
    for place, term in enumerate(probes.loss_term.values):
        columns = {}
        for name in _NAMES:
            columns |= _pair(name, probes.isel(loss_term=place), f"loss_term_{name}")
        counts = {"surely_nearest": int(nearest[..., place].sum()), "spectra": nearest[..., 0].size}
        yield {"term": str(term), **_summary(columns), **counts}
    if set(_OF_PROBES) <= set(probes):
        yield {"term": WHOLE, **_summary(_of_whole(probes)), "spectra": nearest[..., 0].size}


def _of_whole(probes: xr.Dataset) -> Columns:
    """The same numbers of the whole loss at the same inner steps, from the probes' spectra."""
    first = probes.isel(inner_step=0, unroll=slice(probes.sizes["operator_unroll"]))
    alpha, columns = first.learning_rate, {}
    for name, end in (("lowest", "hessian_min"), ("highest", "hessian_max")):
        columns[name] = (alpha * first[end]).values
        columns[f"{name}_error"] = (alpha * first[f"{end}_error"]).values
    return columns | (_pair("edge_share", first, "edge_share") if "edge_share" in first else {})


def _pair(name: str, probes: xr.Dataset, variable: str) -> Columns:
    return {name: probes[variable].values, f"{name}_error": probes[f"{variable}_error"].values}


def _summary(columns: Columns) -> dict[str, float]:
    """Medians of numbers, and the largest of the errors of those that are finite."""
    summary = {}
    for name in (name for name in _NAMES if name in columns):
        values, errors = columns[name], columns[f"{name}_error"]
        known = errors[np.isfinite(values)]
        summary[name] = median(values)
        summary[f"{name}_error"] = float(np.max(known)) if known.size else np.nan
    return summary


def _stacked(probes: xr.Dataset, variable: str) -> tuple[np.ndarray, np.ndarray]:
    """Values and errors, the terms along the last axis."""
    values, errors = (
        probes[name].transpose(..., "loss_term").values for name in (variable, f"{variable}_error")
    )
    return values, errors


def surely_largest(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Whether each of the last axis is above all others by their errors; none where one is NaN."""
    others = [
        np.max(np.delete(values + errors, place, axis=-1), axis=-1, initial=-np.inf)
        for place in range(values.shape[-1])
    ]
    return values - errors > np.stack(others, axis=-1)


def nearest_term(of: Measured) -> Answer:
    """Whether one term surely has the largest share of the edge at every probe.

    Not where two terms surely have it, each at some probe; else it is undecided.
    """
    terms = [row for row in of.rows["loss terms"] if row["term"] != WHOLE]
    known = [row for row in terms if np.isfinite(row["edge_share"])]
    if not known:
        return answer()
    first, *others = sorted(known, key=_standing, reverse=True)
    labels, numbers = {"nearest": first["term"]}, {"share": _share(first)}
    if others:
        labels["next"], numbers["share_next"] = others[0]["term"], _share(others[0])
    leading = [row for row in known if row["surely_nearest"]]
    if first["surely_nearest"] == first["spectra"]:
        return answer(HOLDS, "nearest", numbers=numbers, labels=labels)
    decided = (FAILS, "changes") if len(leading) > 1 else (UNDECIDED, "overlaps")
    return answer(*decided, numbers=numbers, labels=labels)


def _standing(row: Row) -> tuple[float, float]:
    return row["surely_nearest"], row["edge_share"]


def _share(row: Row) -> Quantity:
    """A term's share of the edge, the median of the probes."""
    value, error = row["edge_share"], row["edge_share_error"]
    return Quantity(value, value - error, value + error, "bound", int(row["spectra"]))
