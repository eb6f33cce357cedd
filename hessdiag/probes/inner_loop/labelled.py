"""Spectra along inner loops as labelled arrays, for a dataset."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from hessdiag.probes.inner_loop.measured import HessianSpectrum, InnerLoopSpectra, OperatorSpectrum
from hessdiag.spectra.complex_ritz import ComplexRitzValues
from hessdiag.spectra.density import cumulative, density, grid
from hessdiag.spectra.normality import Departure
from hessdiag.spectra.spectral_radius import SpectralRadius
from hessdiag.spectra.variables import Variables, padded

GRID = 256  # points of the density's axis

_STEP = ("unroll", "inner_step")
_RITZ = (*_STEP, "start", "ritz")
_OPERATOR = ("operator_unroll", "inner_step", "operator")
_PRODUCT = ("operator_unroll", "term", "operator")
_PATH = ("operator_unroll", "inner_step")


class _Column(NamedTuple):
    """One variable.

    Attributes:
        name: Of the variable.
        path: Where a result has it, attributes joined by dots.
        text: Its long name.
        dtype: Of its array.
        index: Which entry of a tuple, if the attribute is one.
    """

    name: str
    path: str
    text: str
    dtype: Any = float
    index: int | None = None


def _ends(name: str, path: str, text: str) -> Iterator[_Column]:
    """An end of a spectrum and its error."""
    yield _Column(name, path, text)
    yield _Column(f"{name}_error", f"{path}_error", f"error of the {text}")


def _mass(name: str, field: str, where: str) -> Iterator[_Column]:
    """A share of the spectrum and its standard error over starts."""
    text, path = f"share of H's spectrum {where}", f"masses.{field}"
    yield _Column(name, path, text, index=0)
    yield _Column(f"{name}_se", path, f"standard error of the {text}", index=1)


_HESSIAN = (
    *_ends("hessian_min", "ends.lowest", "lowest eigenvalue of the Hessian of the inner loss"),
    *_ends("hessian_max", "ends.highest", "highest eigenvalue of the Hessian of the inner loss"),
    _Column("symmetry_defect", "symmetry_defect", "relative asymmetry"),
    _Column("start_disagreement", "ends.disagreement", "starts apart, over errors"),
    _Column("orthogonality", "ends.orthogonality", "largest entry of |QQ' - I|"),
    _Column("matvecs", "ends.matvecs", "products spent", np.int32),
    _Column("converged", "ends.converged", "every start reached the tolerance", np.int8),
)
_SHIFTED = (
    *_ends("paper_low", "shifted.low_minus_one", "lowest eigenvalue of I + H, minus one"),
    *_ends("paper_high", "shifted.high_minus_one", "highest eigenvalue of I + H, minus one"),
    *_ends(
        "spectral_radius_minus_one",
        "shifted.spectral_radius_minus_one",
        "spectral radius of I + H, minus one",
    ),
    *_mass("mass_above_zero", "above", "above 0"),
    *_mass("mass_inside", "inside", "in [-2, 0] without the zeros"),
    *_mass("mass_below_minus_two", "below", "below -2"),
    *_mass("mass_at_zero", "zero", "at 0 to rounding"),
    *_mass("mass_undecided", "undecided", "on a side of 0 or -2 that the errors leave open"),
    _Column(
        "exceeds_one",
        "shifted.exceeds_one",
        "whether the spectral radius of I + H exceeds one, by its interval",
        object,
    ),
)
_RUN = (
    _Column("ritz_value", "values", "eigenvalue estimate of the Hessian of the inner loss"),
    _Column("ritz_weight", "weights", "its weight in the spectral measure of the start"),
    _Column("ritz_error", "errors", "its error"),
)
_NUMBERS = (
    _Column("operator_radius_minus_one", "radius.minus_one", "spectral radius, minus one"),
    _Column("operator_radius_error", "radius.error", "bound on its error"),
    _Column("operator_radius_estimate", "radius.estimate", "first-order error, no bound"),
    _Column(
        "operator_exceeds_one",
        "radius.exceeds_one",
        "whether the spectral radius exceeds one, by the bound on its error",
        object,
    ),
    _Column(
        "operator_exceeds_one_first_order",
        "radius.exceeds_one_to_first_order",
        "the same by the first-order error",
        object,
    ),
    _Column(
        "departure",
        "departure.bound",
        "bound on the Frobenius departure from normality, in balanced coordinates",
    ),
    _Column("departure_se", "departure.standard_error", "its standard error"),
    _Column(
        "operator_frobenius",
        "departure.frobenius",
        "Frobenius norm of the operator minus the identity, in balanced coordinates",
    ),
    _Column("operator_matvecs", "ritz.matvecs", "products spent on the eigenvalues", np.int32),
    _Column(
        "operator_converged", "ritz.converged", "the outermost value met the tolerance", np.int8
    ),
)
_VALUES = (
    _Column("operator_value_real", "ritz.values.real", "real part of an eigenvalue minus one"),
    _Column("operator_value_imag", "ritz.values.imag", "imaginary part of an eigenvalue"),
    _Column("operator_value_error", "ritz.errors", "bound on the eigenvalue's error"),
    _Column("operator_value_estimate", "ritz.estimates", "its first-order error, no bound"),
)
_NORM = "norm of the product over the last i - 1 inner steps, as a map of the parameters"
_NORMS = (
    _Column("product_norm_minus_one", "norm.minus_one", f"{_NORM}, minus one"),
    _Column("product_norm_error", "norm.error", "bound on its error"),
    _Column(
        "product_exceeds_one",
        "norm.exceeds_one",
        "whether the norm exceeds one, by its interval",
        object,
    ),
    _Column("product_matvecs", "matvecs", "products with P'P spent", np.int32),
    _Column("product_converged", "converged", "the norm met the tolerance", np.int8),
)
_PATHS = (
    _Column("path_norm", "value", "norm of the derivative of theta^(n) in g^(j)"),
    _Column("path_norm_error", "error", "bound on its error"),
    _Column("path_matvecs", "matvecs", "products spent", np.int32),
    _Column("path_converged", "converged", "the norm met the tolerance", np.int8),
)


def inner_loop_variables(loops: Sequence[InnerLoopSpectra]) -> Variables:
    """All that was measured, by unroll and inner step.

    Args:
        loops: Inner loops of one length; the other operators of those that have them.
    """
    hessians = [loop.hessians for loop in loops]
    rates = [step.alpha for step in hessians[0]]
    variables = _columns(_HESSIAN, _STEP, hessians)
    if None not in rates:
        variables |= _columns(_SHIFTED, _STEP, hessians)
        text = "learning rate of the inner step"
        variables["learning_rate"] = (("inner_step",), np.array(rates), text, "1")
    runs = [[step.runs for step in row] for row in hessians]
    variables |= _padded_columns(_RUN, _RITZ, runs) | _densities(hessians)
    return variables | _other_operators([loop for loop in loops if loop.operators or loop.products])


def operator_names(loops: Sequence[InnerLoopSpectra]) -> list[str]:
    """The operators that were measured, from the published approximation to the exact map."""
    if not loops:
        return []
    paper = ["paper"] if loops[0].hessians[0].shifted is not None else []
    return paper + list(loops[0].operators)


def _other_operators(loops: Sequence[InnerLoopSpectra]) -> Variables:
    """Radii, normality and Ritz values of the operators, norms of products and of paths."""
    variables: Variables = {}
    names = operator_names(loops)
    if names:
        steps = range(len(loops[0].hessians))
        spectra = [[[_spectrum(loop, n, j) for n in names] for j in steps] for loop in loops]
        variables |= _columns(_NUMBERS, _OPERATOR, spectra)
        variables |= _padded_columns(_VALUES, (*_OPERATOR, "operator_ritz"), spectra)
    if names and set(names) <= set(loops[0].products):
        norms = [list(zip(*(loop.products[n] for n in names), strict=True)) for loop in loops]
        variables |= _columns(_NORMS, _PRODUCT, norms)
    if loops and all(loop.paths for loop in loops):
        variables |= _columns(_PATHS, _PATH, [loop.paths for loop in loops])
    return variables


def _columns(columns: Sequence[_Column], dims: tuple[str, ...], results: Any) -> Variables:
    """Variables of nested lists of results, one level of lists for each dimension."""
    return {
        column.name: (dims, np.array(_read(column, results), column.dtype), column.text, "1")
        for column in columns
    }


def _padded_columns(columns: Sequence[_Column], dims: tuple[str, ...], results: Any) -> Variables:
    """The same of vectors, padded with NaN to the longest, along the last dimension."""
    return {
        column.name: (dims, padded(_read(column, results), len(dims) - 1), column.text, "1")
        for column in columns
    }


def _read(column: _Column, results: Any) -> Any:
    """A column's value in every one of nested lists of results."""
    if isinstance(results, list | tuple) and not hasattr(results, "_fields"):
        return [_read(column, each) for each in results]
    value = attrgetter(column.path)(results)
    return value if column.index is None else value[column.index]


def _densities(hessians: list[list[HessianSpectrum]]) -> Variables:
    """Smoothed density and cumulative measure of every spectrum, each on its own axis."""
    dims = (*_STEP, "grid")
    axis, smoothed, total, error = np.empty((4, len(hessians), len(hessians[0]), GRID))
    for at in np.ndindex(axis.shape[:2]):
        runs = hessians[at[0]][at[1]].runs
        axis[at] = grid(runs, GRID)
        smoothed[at] = density(runs, axis[at])
        total[at], error[at] = cumulative(runs, axis[at])
    return {
        "density_grid": (dims, axis, "eigenvalue of the Hessian of the inner loss", "1"),
        "density": (dims, smoothed, "smoothed spectral density", "1"),
        "cumulative": (dims, total, "share of eigenvalues at or below", "1"),
        "cumulative_se": (dims, error, "its standard error over starts", "1"),
    }


def _spectrum(loop: InnerLoopSpectra, name: str, j: int) -> OperatorSpectrum:
    if name == "paper":
        return _of_paper(loop.hessians[j])
    return loop.operators[name][j]


def _of_paper(spectrum: HessianSpectrum) -> OperatorSpectrum:
    """I + H from the spectrum of the Hessian; it is symmetric, and its errors are bounds."""
    assert spectrum.shifted is not None
    assert spectrum.alpha is not None
    alpha, run, shifted = spectrum.alpha, spectrum.runs[0], spectrum.shifted
    squares = [np.sum(r.weights * r.values**2) * spectrum.size for r in spectrum.runs]
    error = shifted.spectral_radius_minus_one_error
    return OperatorSpectrum(
        ritz=ComplexRitzValues(
            values=-alpha * run.values + 0j,
            residuals=alpha * run.errors,
            conditions=np.ones_like(run.errors),
            estimates=alpha * run.errors,
            errors=alpha * run.errors,
            matvecs=spectrum.ends.matvecs,
            converged=spectrum.ends.converged,
            orthogonality=spectrum.ends.orthogonality,
            rounding=alpha * run.rounding,
        ),
        radius=SpectralRadius(
            minus_one=shifted.spectral_radius_minus_one,
            error=error,
            estimate=error,
            exceeds_one=shifted.exceeds_one,
            exceeds_one_to_first_order=shifted.exceeds_one,
        ),
        departure=Departure(*np.array([0, 0, 0, alpha * np.sqrt(np.mean(squares))])),
    )
