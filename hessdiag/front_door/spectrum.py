"""The spectrum of a loss's Hessian, or of any symmetric operator on its parameters, in one call."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import xarray
from jaxtyping import Array, Float, PyTree
from matplotlib.figure import Figure
from rich.table import Table

from hessdiag import spectra
from hessdiag.front_door.plots import spectrum_figure
from hessdiag.front_door.result import Result, compact_table
from hessdiag.report.numbers import with_error

Loss = Callable[[PyTree[Float[Array, "..."]], Any], Float[Array, ""]]

_GRID = 512


class SpectrumResult(Result):
    """Extremes, largest eigenvalues, trace and density of one operator."""

    slug = "spectrum"

    def tables(self) -> list[Table]:
        """Every number with its error."""
        data = self.dataset
        table = compact_table(data.attrs["title"], "quantity", "value")
        for text, name in (
            ("smallest eigenvalue", "lowest"),
            ("largest eigenvalue", "highest"),
            ("trace", "trace"),
        ):
            table.add_row(text, with_error(float(data[name]), float(data[f"{name}_error"])))
        for text, name in (
            ("negative eigenvalues, share", "mass_negative"),
            ("zero to rounding, share", "mass_zero"),
            ("sign not resolved, share", "mass_undecided"),
        ):
            table.add_row(text, with_error(float(data[name]), float(data[f"{name}_error"])))
        table.add_row("products spent", str(int(data["matvecs"])))
        table.add_row("ends converged", "yes" if bool(data["converged"]) else "no: see the errors")
        if "top_value" not in data:
            return [table]
        top = compact_table("Largest in modulus", "eigenvalue", "converged")
        for value, error, converged in zip(
            data["top_value"].values,
            data["top_error"].values,
            data["top_converged"].values,
            strict=True,
        ):
            top.add_row(with_error(value, error), "yes" if converged else "no")
        return [table, top]

    def figure(self) -> Figure:
        """Density and cumulative measure."""
        return spectrum_figure(self.dataset)


@spectra.one_lapack_thread
def spectrum(
    loss: Loss,
    params: PyTree[Float[Array, "..."]],
    batch: Any,
    *,
    operator: Callable[[PyTree, Any], spectra.Operator] | None = None,
    top: int = 0,
    starts: int = 4,
    matvecs: int = 60,
    tolerance: float = 1e-4,
    chunk_size: int | None = None,
    seed: int = 0,
) -> SpectrumResult:
    """Measure the spectrum of the Hessian of a loss.

    Small problems (`spectra.DENSE_LIMIT` parameters) are solved whole by LAPACK.

    Args:
        loss: (params, batch) -> scalar, a mean over the batch. It must give the same value each
            time: fix dropout and data order before.
        params: Where to differentiate; any pytree of floating arrays.
        batch: Whatever the loss wants; an argument of the compiled program.
        operator: (params, batch) -> another symmetric operator to measure instead of the Hessian,
            such as `spectra.gauss_newton` or `spectra.empirical_fisher`; the loss is then not used.
        top: How many eigenvalues of largest modulus to find besides, with their errors.
        starts: Random start vectors, over which densities get their standard errors.
        matvecs: Products per start.
        tolerance: Residual, relative to the norm, at which eigenvalues count as converged.
        chunk_size: Examples per chunk, for batches that do not fit into memory at once: the batch's
            leaves then have a common leading axis, over which the loss is a mean.
        seed: Of the start vectors.

    Returns:
        The result; print it, `plot` it, `save` it.

    Raises:
        NonSymmetricOperatorError: If the operator is not symmetric to within rounding.
        ValueError: If the operator's products do not repeat.
    """
    if chunk_size is not None:
        loss = spectra.chunked(loss, chunk_size)

    def build(params, batch) -> spectra.Operator:
        if operator is not None:
            return operator(params, batch)
        return spectra.hessian(lambda p: loss(p, batch), params)

    key = jax.random.key(seed)
    check_key, start_key, trace_key, top_key = jax.random.split(key, 4)
    _require_repeats(build, params, batch, check_key)
    runs = _runs(build, params, batch, start_key, starts, matvecs, tolerance)
    dataset = _dataset(runs, spectra.extremes(runs))
    if runs[0].exact:
        dataset["trace"], dataset["trace_error"] = _exact_trace(runs[0])
    else:
        trace = jax.jit(
            lambda p, b, k: spectra.xtrace(build(p, b), k, num_matvecs=max(4, matvecs // 2 * 2))
        )(params, batch, trace_key)
        dataset["trace"] = float(trace.estimate)
        dataset["trace_error"] = float(trace.standard_error)
        dataset["matvecs"] = dataset["matvecs"] + int(trace.matvecs)
    if top:
        dataset = dataset.assign(_top(build, params, batch, runs, top_key, top, tolerance))
    dataset.attrs["title"] = "Hessian" if operator is None else "operator"
    return SpectrumResult(_described(dataset))


def _require_repeats(build, params, batch, key) -> None:
    """Products by a program that runs twice, so that the compiler cannot share them."""
    product = jax.jit(lambda p, b, v: build(p, b).product(v))
    size = spectra.Space.like(params).size
    v = jax.random.normal(key, (size,), spectra.Space.like(params).dtype)
    if not np.array_equal(product(params, batch, v), product(params, batch, v), equal_nan=True):
        raise ValueError("the loss is not deterministic: two equal products differ")


def _runs(build, params, batch, key, starts, matvecs, tolerance) -> list[spectra.RitzValues]:
    if spectra.Space.like(params).size <= spectra.DENSE_LIMIT:
        matrix = jax.jit(lambda p, b: spectra.dense_matrix(build(p, b)))(params, batch)
        return [spectra.matrix_spectrum(np.asarray(matrix))]

    @jax.jit
    def decompose(params, batch, key):
        operator = build(params, batch)
        vectors = jax.random.normal(key, (starts, operator.size), operator.dtype)
        return jax.lax.map(
            lambda v: spectra.lanczos(
                operator, v, max_matvecs=matvecs, min_matvecs=matvecs, tolerance=tolerance
            ),
            vectors,
        )

    return spectra.ritz_values_per_start(decompose(params, batch, key))


def _dataset(runs: list[spectra.RitzValues], ends: spectra.Extremes) -> xarray.Dataset:
    axis = spectra.grid(runs, _GRID)
    total, total_error = spectra.cumulative(runs, axis)
    split = spectra.mass_split(runs, 1.0)  # of -A: its positive side is A's negative one
    numbers = {
        "lowest": ends.lowest,
        "lowest_error": ends.lowest_error,
        "highest": ends.highest,
        "highest_error": ends.highest_error,
        "mass_negative": split.above[0],
        "mass_negative_error": split.above[1],
        "mass_zero": split.zero[0],
        "mass_zero_error": split.zero[1],
        "mass_undecided": split.undecided[0],
        "mass_undecided_error": split.undecided[1],
        "start_disagreement": ends.disagreement,
        "orthogonality": ends.orthogonality,
        "matvecs": ends.matvecs,
        "converged": ends.converged,
    }
    arrays: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        "density": (("grid",), spectra.density(runs, axis)),
        "cumulative": (("grid",), total),
        "cumulative_error": (("grid",), total_error),
    }
    for name, field in (("ritz_value", "values"), ("ritz_weight", "weights")):
        rows = spectra.padded([getattr(run, field) for run in runs], 1)
        arrays[name] = (("start", "ritz"), rows)
    return xarray.Dataset(numbers | arrays, coords={"grid": axis})


def _exact_trace(run: spectra.RitzValues) -> tuple[float, float]:
    return float(np.sum(run.values)), float(np.sum(run.errors))


def _top(build, params, batch, runs, key, num: int, tolerance: float) -> dict:
    """The eigenvalues of largest modulus, by falling modulus."""
    if runs[0].exact:
        values, errors = runs[0].values, runs[0].errors
        converged = np.ones(len(values), bool)
    else:

        @jax.jit
        def pairs(params, batch, key):
            operator = build(params, batch)
            start = jax.random.normal(key, (operator.size,), operator.dtype)
            return spectra.eigenpairs(
                operator,
                start,
                num=num,
                which="magnitude",
                max_matvecs=40 * num,
                tolerance=tolerance,
            )

        found = spectra.ritz_pairs(pairs(params, batch, key))
        values, errors, converged = found.values, found.errors, found.converged
    order = np.argsort(-np.abs(values))[:num]
    return {
        "top_value": (("rank",), values[order]),
        "top_error": (("rank",), errors[order]),
        "top_converged": (("rank",), np.asarray(converged)[order]),
    }


def _described(dataset: xarray.Dataset) -> xarray.Dataset:
    for name, text in {
        "lowest": "smallest eigenvalue",
        "highest": "largest eigenvalue",
        "trace": "sum of all eigenvalues",
        "mass_negative": "share of negative eigenvalues",
        "mass_zero": "share of eigenvalues that are zero to rounding",
        "mass_undecided": "share whose sign the errors leave open",
        "density": "smoothed spectral density",
        "cumulative": "share of eigenvalues at or below",
        "ritz_value": "Ritz value",
        "ritz_weight": "weight of the Ritz value in the spectral measure of its start",
        "start_disagreement": "distance of the starts' ends over their errors",
        "orthogonality": "largest entry of |QQ' - I|",
        "matvecs": "products spent",
    }.items():
        dataset[name].attrs |= {"long_name": text, "units": "1"}
    return dataset
