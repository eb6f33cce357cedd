"""What a spectrum's measurement found, as a labelled dataset."""

from typing import Any

import numpy as np
import xarray

from hessdiag import spectra
from hessdiag.api.measurement import Measurement

_GRID = 512
LONG_NAMES = {
    "loss": "value of the loss",
    "lowest": "smallest eigenvalue",
    "lowest_error": "bound on the error of the smallest eigenvalue",
    "highest": "largest eigenvalue",
    "highest_error": "bound on the error of the largest eigenvalue",
    "trace": "sum of all eigenvalues",
    "trace_error": "half of the 95 % interval of the trace; of an exact spectrum, a bound",
    "mass_negative": "share of negative eigenvalues",
    "mass_negative_error": "half of the 95 % interval of the share of negative eigenvalues",
    "mass_zero": "share of eigenvalues that are zero to rounding",
    "mass_zero_error": "half of the 95 % interval of the share of zeros",
    "mass_undecided": "share whose sign the errors leave open",
    "mass_undecided_error": "half of the 95 % interval of the share whose sign is open",
    "start_disagreement": "distance of the starts' ends over their errors",
    "orthogonality": "largest entry of |QQ' - I|",
    "matvecs": "products spent",
    "part": "what products were spent on",
    "spent": "products spent on each",
    "converged": "whether both ends met the tolerance from every start",
    "grid": "eigenvalue",
    "density": "smoothed spectral density",
    "cumulative": "share of eigenvalues at or below",
    "cumulative_error": "half of the 95 % interval of the share of eigenvalues at or below",
    "ritz_value": "Ritz value",
    "ritz_weight": "weight of the Ritz value in the spectral measure of its start",
    "ritz_error": "bound on the error of the Ritz value",
    "top_value": "eigenvalues by falling modulus",
    "top_error": "bound on the error of each",
    "top_converged": "whether each met the tolerance",
    "leaf": "leaf of the parameters",
    "leaf_size": "parameters of the leaf",
    "leaf_lowest": "smallest eigenvalue of the leaf's diagonal block",
    "leaf_lowest_error": "bound on its error",
    "leaf_highest": "largest eigenvalue of the leaf's diagonal block",
    "leaf_highest_error": "bound on its error",
    "leaf_converged": "whether both ends of the block met the tolerance",
    "leaf_trace": "trace of the leaf's diagonal block",
    "leaf_trace_error": "half of the 95 % interval of that trace",
    "leaf_share": "that trace over the whole trace",
    "leaf_share_error": "half of the 95 % interval of that share",
}


def spectrum_dataset(found: Measurement, names: list[str], loss: float | None) -> xarray.Dataset:
    """Every number with its error, NaN where nothing was measured.

    Args:
        found: The measurement, which has one run at least.
        names: Of the leaves, in its order.
        loss: At the parameters.
    """
    ends = spectra.extremes(found.runs)
    numbers = _ends(found, ends) | _shares(found.runs, ends)
    if loss is not None:
        numbers["loss"] = loss
        numbers["converged"] = bool(numbers["converged"] and np.isfinite(loss))
    dataset = xarray.Dataset(numbers).assign(_measure(found.runs))
    dataset["trace"], dataset["trace_error"] = found.trace
    dataset["matvecs"] = sum(found.spent.values())
    dataset = dataset.assign_coords(part=list(found.spent))
    dataset["spent"] = "part", list(found.spent.values())
    for name, column in found.top.items():
        dataset[f"top_{name}"] = "rank", column
    if found.plan.per_leaf:
        dataset = dataset.assign_coords(leaf=names).assign(_leaves(found))
    return dataset


def _ends(found: Measurement, ends: spectra.Extremes) -> dict[str, Any]:
    fields = "lowest lowest_error highest highest_error orthogonality"
    numbers: dict[str, Any] = {name: getattr(ends, name) for name in fields.split()}
    norm = max(abs(ends.lowest), abs(ends.highest))
    allowed = max(found.plan.tolerance * norm, *(run.rounding for run in found.runs))
    sharp = max(ends.lowest_error, ends.highest_error) <= allowed
    # The first two starts are for the ends; the others may be shorter.
    enough = found.runs[0].exact or len(found.runs) >= min(2, found.plan.starts)
    numbers["converged"] = sharp and enough and all(run.converged for run in found.runs[:2])
    numbers["start_disagreement"] = ends.disagreement
    return numbers


def _shares(runs: list[spectra.RitzValues], ends: spectra.Extremes) -> dict[str, float]:
    # Of -A, so that its positive side is A's negative one, and so small that -2 is out of reach.
    split = spectra.mass_split(runs, 1 / (8 * max(abs(ends.lowest), abs(ends.highest)) or 1))
    known = 1.0 if np.isfinite(ends.highest) else np.nan
    shares = {"negative": split.above, "zero": split.zero, "undecided": split.undecided}
    numbers = {}
    for name, (share, error) in shares.items():
        numbers |= {f"mass_{name}": known * share, f"mass_{name}_error": known * error}
    return numbers


def _measure(runs: list[spectra.RitzValues]) -> dict[str, Any]:
    axis = spectra.grid(runs, _GRID)
    total, total_error = spectra.cumulative(runs, axis)
    arrays: dict[str, Any] = {
        "grid": ("grid", axis),
        "density": ("grid", spectra.density(runs, axis)),
        "cumulative": ("grid", total),
        "cumulative_error": ("grid", total_error),
    }
    for name in ("value", "weight", "error"):
        rows = spectra.padded([getattr(run, f"{name}s") for run in runs], 1)
        arrays[f"ritz_{name}"] = (("start", "ritz"), rows)
    return arrays


def _leaves(found: Measurement) -> dict[str, Any]:
    """By leaf; those that the budget did not reach are NaN."""
    count = len(found.offsets)
    traces, errors = found.blocks or (np.full(count, np.nan), np.full(count, np.nan))
    whole, whole_error = found.trace
    share = np.divide(traces, whole, out=np.full(count, np.nan), where=whole != 0)
    columns = {
        "size": np.diff([*found.offsets, found.size]),
        "converged": [ends.converged for ends in found.leaf_ends],
        "trace": traces,
        "trace_error": errors,
        "share": share,
        "share_error": (errors + np.abs(share) * whole_error) / (np.abs(whole) or np.nan),
    }
    for name in ("lowest", "lowest_error", "highest", "highest_error"):
        columns[name] = [getattr(ends, name) for ends in found.leaf_ends]
    missing = count - len(found.leaf_ends)
    for name in ("lowest", "lowest_error", "highest", "highest_error", "converged"):
        columns[name] += [False if name == "converged" else np.nan] * missing
    return {f"leaf_{name}": ("leaf", column) for name, column in columns.items()}
