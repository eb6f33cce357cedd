"""The spectrum of a loss's Hessian, or of any symmetric operator on its parameters, in one call."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray
from jaxtyping import Array, Float, PyTree
from matplotlib.figure import Figure
from rich.table import Table

from hessdiag import spectra
from hessdiag.api.plots import spectrum_figure
from hessdiag.api.programs import Build, Loss, SpectrumPrograms, spectrum_programs
from hessdiag.api.result import Result, compact_table, described, provenance
from hessdiag.api.trainable import Held, OnFloats
from hessdiag.report.numbers import plain, with_error
from hessdiag.train.self_test import require_sound_compiler

_GRID = 512
_LONG_NAMES = {
    "loss": "value of the loss",
    "lowest": "smallest eigenvalue",
    "lowest_error": "bound on the error of the smallest eigenvalue",
    "highest": "largest eigenvalue",
    "highest_error": "bound on the error of the largest eigenvalue",
    "trace": "sum of all eigenvalues",
    "trace_error": "95 % half-width of the trace; of an exact spectrum, a bound",
    "mass_negative": "share of negative eigenvalues",
    "mass_negative_error": "95 % half-width of the share of negative eigenvalues",
    "mass_zero": "share of eigenvalues that are zero to rounding",
    "mass_zero_error": "95 % half-width of the share of zeros",
    "mass_undecided": "share on whose side of zero the runs leave open",
    "mass_undecided_error": "95 % half-width of that, over starts",
    "start_disagreement": "distance of the starts' ends over their errors",
    "orthogonality": "largest entry of |QQ' - I|",
    "noise": "rounding of a product over the largest eigenvalue, where it is more than a few eps",
    "matvecs": "products spent",
    "converged": "whether both ends met the tolerance from every start",
    "grid": "eigenvalue",
    "density": "smoothed spectral density",
    "cumulative": "share of eigenvalues at or below",
    "cumulative_error": "95 % half-width of the share of eigenvalues at or below",
    "ritz_value": "Ritz value",
    "ritz_weight": "weight of the Ritz value in the spectral measure of its start",
    "ritz_error": "bound on the error of the Ritz value",
    "top_value": "eigenvalues by falling modulus",
    "top_error": "bound on the error of each",
    "top_converged": "whether each met the tolerance",
}
_ROWS = (
    ("smallest eigenvalue", "lowest"),
    ("largest eigenvalue", "highest"),
    ("trace", "trace"),
    ("negative eigenvalues, share", "mass_negative"),
    ("zero to rounding, share", "mass_zero"),
    ("sign not resolved, share", "mass_undecided"),
)


class SpectrumResult(Result):
    """Extremes, largest eigenvalues, trace and density of one operator."""

    slug = "spectrum"

    def tables(self) -> list[Table]:
        """Every number with its error."""
        data = self.dataset
        table = compact_table(data.attrs["title"], "quantity", "value")
        for text, name in _ROWS:
            table.add_row(text, with_error(float(data[name]), float(data[f"{name}_error"])))
        table.add_row("products spent", str(int(data["matvecs"])))
        if data["noise"] > 0:
            table.add_row("rounding of a product, relative", plain(float(data["noise"])))
        if data["start_disagreement"] > 1:
            text = f"{plain(float(data['start_disagreement']))} times their errors"
            table.add_row("starts disagree by", text)
        if _skewed(data):
            table.add_row("basis orthogonal to", plain(float(data["orthogonality"])))
        table.add_row("ends converged", _convergence(data))
        table.caption = "± bound; of trace and shares, a 95 % interval"
        return [table, self._largest()] if "top_value" in data else [table]

    def notes(self) -> list[str]:
        """That the loss itself is no number, where it is none; what was held constant."""
        notes, value = [], float(self.dataset.get("loss", 0.0))
        if not np.isfinite(value):
            notes.append(
                f"The loss is {value}: its derivatives, finite or not, are of no function."
            )
        if held := self.dataset.attrs.get("held"):
            notes.append(f"Held constant, for they are no floating numbers: {held}.")
        return notes

    def _largest(self) -> Table:
        columns = (self.dataset[f"top_{name}"].values for name in ("value", "error", "converged"))
        table = compact_table("Largest in modulus", "eigenvalue", "converged")
        for value, error, converged in zip(*columns, strict=True):
            table.add_row(with_error(value, error), "yes" if converged else "no")
        return table

    def figure(self) -> Figure:
        """Density and cumulative measure."""
        return spectrum_figure(self.dataset)


@spectra.one_lapack_thread
def spectrum(
    loss: Loss,
    params: PyTree[Float[Array, "..."]],
    batch: Any,
    *,
    operator: Build | None = None,
    top: int = 0,
    starts: int = 4,
    matvecs: int = 60,
    tolerance: float = 1e-4,
    chunk_size: int | None = None,
    seed: int = 0,
) -> SpectrumResult:
    """Measure the spectrum of the Hessian of a loss.

    Small problems (`spectra.DENSE_LIMIT` parameters) are solved whole by LAPACK.

    A call with the same function, options and shapes as one of the last few compiles nothing again.
    As under `jax.jit`, what a function closes over is then what it was when it was traced.

    Args:
        loss: (params, batch) -> scalar, a mean over the batch. It must give the same value each
            time: fix dropout and data order before.
        params: Where to differentiate; any pytree. Leaves that are no floating numbers, such as
            integers, keys and functions, are held constant.
        batch: Whatever the loss wants; an argument of the compiled program.
        operator: (params, batch) -> another operator to measure instead of the Hessian, symmetric
            and on the space of `params`, such as `spectra.gauss_newton` or
            `spectra.empirical_fisher`; the loss is then not used.
        top: How many eigenvalues of largest modulus to find besides, with their errors.
        starts: Random start vectors, over which densities are averaged.
        matvecs: Products per start.
        tolerance: Residual, relative to the norm, at which eigenvalues count as converged.
        chunk_size: Examples per chunk, for batches that do not fit into memory at once: the batch's
            leaves then have a common leading axis, over which the loss or the operator is a mean.
        seed: Of the start vectors.

    Returns:
        The result; print it, `plot` it, `save` it.

    Raises:
        NonSymmetricOperatorError: If the operator is not symmetric to within rounding.
        ValueError: If products do not repeat; if the operator is not on the space of `params`, or
            these have other leaves than floats with it; or if chunks of another size give another
            loss, which is no mean over examples then.
    """
    require_sound_compiler()
    held = Held.of(params)
    if held:
        loss, params = _on_floats(loss, operator, held), held.floats(params)
    programs = spectrum_programs(loss if operator is None else None, operator, chunk_size)
    key = jax.random.key(seed)
    check_key, start_key, trace_key, top_key = jax.random.split(key, 4)
    space = spectra.Space.like(params)
    probe = jax.random.normal(check_key, (space.size,), space.dtype)
    if not programs.repeats(params, batch, probe):
        named = "the loss" if operator is None else "operator="
        raise ValueError(
            f"{named} is not deterministic: the same product, run or traced again, is another; "
            "fix random keys and the order of the data"
        )
    point = (params, batch)
    value = _value(programs, point, chunk_size)
    if space.size <= spectra.DENSE_LIMIT:
        runs = [programs.dense(*point, start_key)]
    else:
        cost = {"starts": starts, "matvecs": matvecs}
        decompositions = programs.decompositions(*point, start_key, float(tolerance), **cost)
        runs = spectra.ritz_values_per_start(decompositions)
    dataset = _dataset(runs, spectra.extremes(runs))
    if value is not None:
        dataset["loss"] = value
    parts = [_trace(programs, point, runs, trace_key, matvecs)]
    if top:
        parts.append(_top(programs, point, runs, top_key, top, tolerance))
    for variables, spent in parts:
        dataset = dataset.assign(variables)
        dataset["matvecs"] = dataset["matvecs"] + spent
    dataset.attrs["held"] = ", ".join(held.names)
    dataset.attrs["title"] = "Hessian" if operator is None else "operator"
    dataset.attrs |= provenance(seed, tolerance, space.dtype)
    return SpectrumResult(described(dataset, _LONG_NAMES))


def _on_floats(loss: Loss, operator: Build | None, held: Held) -> Loss:
    if operator is None:
        return OnFloats(loss, held)
    raise ValueError(
        f"params: {', '.join(held.names)} are no floating numbers; allowed with operator=: "
        "floating arrays alone"
    )


def _value(programs: SpectrumPrograms, point: tuple[Any, Any], chunk_size) -> float | None:
    """The loss; one that depends on how large its chunks are is refused."""
    if programs.loss is None:
        return None
    value, batch = programs.loss(*point), jax.tree.leaves(point[1])
    if programs.in_other_chunks is not None and chunk_size < len(batch[0]):
        _require_mean(float(value), float(programs.in_other_chunks(*point)), value.dtype)
    return float(value)


def _require_mean(value: float, other: float, dtype: Any) -> None:
    apart, size = abs(value - other), max(abs(value), abs(other))
    if apart > float(jnp.finfo(dtype).eps) ** 0.5 * size:
        raise ValueError(
            f"chunk_size: the loss is no mean over examples: {value:.6g} in chunks of this size, "
            f"{value / other if other else np.inf:.4g} times what it is in chunks of another; "
            "allowed: losses that average over the leading axis, or no chunk_size"
        )


def _skewed(data: xarray.Dataset) -> bool:
    """Whether the basis lost so much orthogonality that eigenvalues may be counted twice."""
    return bool(data["orthogonality"] > np.finfo(data.attrs["dtype"]).eps ** 0.5)


def _convergence(data: xarray.Dataset) -> str:
    if not np.isfinite(data["highest"]):
        return "no: a product is not finite"
    if not data["converged"]:
        return "no: see the errors"
    return "yes, but the basis is not orthogonal" if _skewed(data) else "yes"


def _dataset(runs: list[spectra.RitzValues], ends: spectra.Extremes) -> xarray.Dataset:
    axis = spectra.grid(runs, _GRID)
    total, total_error = spectra.cumulative(runs, axis)
    # Of -A, so that its positive side is A's negative one, and so small that -2 is out of reach.
    split = spectra.mass_split(runs, 1 / (8 * max(abs(ends.lowest), abs(ends.highest)) or 1))
    known = 1.0 if np.isfinite(ends.highest) else np.nan
    shares = {"negative": split.above, "zero": split.zero, "undecided": split.undecided}
    fields = "lowest lowest_error highest highest_error orthogonality matvecs converged noise"
    numbers = {name: getattr(ends, name) for name in fields.split()}
    numbers["start_disagreement"] = ends.disagreement
    for name, (share, error) in shares.items():
        numbers |= {f"mass_{name}": known * share, f"mass_{name}_error": known * error}
    arrays: dict[str, Any] = {
        "density": ("grid", spectra.density(runs, axis)),
        "cumulative": ("grid", total),
        "cumulative_error": ("grid", total_error),
    }
    for name in ("value", "weight", "error"):
        rows = spectra.padded([getattr(run, f"{name}s") for run in runs], 1)
        arrays[f"ritz_{name}"] = (("start", "ritz"), rows)
    return xarray.Dataset(numbers | arrays, coords={"grid": axis})


def _trace(programs: SpectrumPrograms, point, runs, key, matvecs: int) -> tuple[dict, int]:
    """The trace with its error, and the products spent on it."""
    if runs[0].exact:
        return {"trace": np.sum(runs[0].values), "trace_error": np.sum(runs[0].errors)}, 0
    trace = programs.trace(*point, key, matvecs=matvecs)
    numbers = {"trace": float(trace.estimate), "trace_error": float(trace.half_width)}
    return numbers, int(trace.matvecs)


def _top(programs: SpectrumPrograms, point, runs, key, num: int, tolerance) -> tuple[dict, int]:
    """The eigenvalues of largest modulus, by falling modulus, and the products spent on them."""
    if runs[0].exact:
        values, errors, spent = runs[0].values, runs[0].errors, 0
        converged = np.isfinite(values)
    else:
        space = spectra.Space.like(point[0])
        pairs = spectra.eigenpairs(
            lambda v: programs.product(*point, v),
            jax.random.normal(key, (space.size,), space.dtype),
            num=num,
            max_matvecs=40 * num,
            tolerance=tolerance,
            noise=max(run.noise for run in runs),
        )
        values, errors, spent = pairs.values, pairs.errors, pairs.matvecs
        converged = pairs.converged
    order = np.argsort(-np.abs(values))[:num]
    columns = {"value": values, "error": errors, "converged": np.asarray(converged)}
    return {f"top_{name}": ("rank", column[order]) for name, column in columns.items()}, spent
