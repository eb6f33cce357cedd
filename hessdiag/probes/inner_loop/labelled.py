"""Spectra along inner loops as variables of a probe; `hessdiag.record.schema` says what each is."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from hessdiag.probes.inner_loop.measured import HessianSpectrum, InnerLoopSpectra, OperatorSpectrum
from hessdiag.probes.values import Values
from hessdiag.spectra.complex_ritz import ComplexRitzValues, SpectralRadius
from hessdiag.spectra.density import cumulative, density, grid
from hessdiag.spectra.normality import Departure
from hessdiag.spectra.ritz import padded

GRID = 256  # points of the density's axis

_MASSES = {
    "mass_above_zero": "above",
    "mass_inside": "inside",
    "mass_below_minus_two": "below",
    "mass_at_zero": "zero",
    "mass_undecided": "undecided",
}
_ENDS = {
    "hessian_min": "ends.lowest",
    "hessian_max": "ends.highest",
}
_SHIFTED_ENDS = {
    "paper_low": "shifted.low_minus_one",
    "paper_high": "shifted.high_minus_one",
    "spectral_radius_minus_one": "shifted.spectral_radius_minus_one",
}


def _with_errors(paths: Mapping[str, str]) -> dict[str, str]:
    return {**paths, **{f"{name}_error": f"{path}_error" for name, path in paths.items()}}


_HESSIAN = {
    **_with_errors(_ENDS),
    "symmetry_defect": "symmetry_defect",
    "start_disagreement": "ends.disagreement",
    "orthogonality": "ends.orthogonality",
    "matvecs": "ends.matvecs",
    "converged": "ends.converged",
}
_SHIFTED = {**_with_errors(_SHIFTED_ENDS), "exceeds_one": "shifted.exceeds_one"}
_RUN = {"ritz_value": "values", "ritz_weight": "weights", "ritz_error": "errors"}
_NUMBERS = {
    "operator_radius_minus_one": "radius.minus_one",
    "operator_radius_error": "radius.error",
    "operator_radius_estimate": "radius.estimate",
    "operator_exceeds_one": "radius.exceeds_one",
    "operator_exceeds_one_first_order": "radius.exceeds_one_to_first_order",
    "departure": "departure.bound",
    "departure_se": "departure.standard_error",
    "operator_frobenius": "departure.frobenius",
    "operator_matvecs": "ritz.matvecs",
    "operator_converged": "ritz.converged",
}
_VALUES = {
    "operator_value_real": "ritz.values.real",
    "operator_value_imag": "ritz.values.imag",
    "operator_value_error": "ritz.errors",
    "operator_value_estimate": "ritz.estimates",
}
_NORMS = {
    "product_norm_minus_one": "norm.minus_one",
    "product_norm_error": "norm.error",
    "product_exceeds_one": "norm.exceeds_one",
    "product_matvecs": "matvecs",
    "product_converged": "converged",
}
_PATHS = {
    "path_norm": "value",
    "path_norm_error": "error",
    "path_matvecs": "matvecs",
    "path_converged": "converged",
}
_DTYPES: dict[str, Any] = {"matvecs": np.int32, "converged": np.int8}  # by the last word of a name


def inner_loop_variables(loops: Sequence[InnerLoopSpectra]) -> Values:
    """All that was measured, by unroll and inner step.

    Args:
        loops: Inner loops of one length; the other operators of those that have them.
    """
    hessians = [loop.hessians for loop in loops]
    rates = [step.alpha for step in hessians[0]]
    values = _columns(_HESSIAN, hessians)
    if None not in rates:
        values |= _columns(_SHIFTED, hessians) | _masses(hessians)
        values["learning_rate"] = np.array(rates)
    runs = [[step.runs for step in row] for row in hessians]
    values |= _padded_columns(_RUN, runs, 3) | _densities(hessians)
    return values | _other_operators([loop for loop in loops if loop.operators or loop.products])


def operator_names(loops: Sequence[InnerLoopSpectra]) -> list[str]:
    """The operators that were measured, from the published approximation to the exact map."""
    if not loops:
        return []
    paper = ["paper"] if loops[0].hessians[0].shifted is not None else []
    return paper + list(loops[0].operators)


def _other_operators(loops: Sequence[InnerLoopSpectra]) -> Values:
    """Radii, normality and Ritz values of the operators, norms of products and of paths."""
    values: Values = {}
    names = operator_names(loops)
    if names:
        steps = range(len(loops[0].hessians))
        spectra = [[[_spectrum(loop, n, j) for n in names] for j in steps] for loop in loops]
        values |= _columns(_NUMBERS, spectra) | _padded_columns(_VALUES, spectra, 3)
    if names and set(names) <= set(loops[0].products):
        norms = [list(zip(*(loop.products[n] for n in names), strict=True)) for loop in loops]
        values |= _columns(_NORMS, norms)
    if loops and all(loop.paths for loop in loops):
        values |= _columns(_PATHS, [loop.paths for loop in loops])
    return values


def _columns(paths: Mapping[str, str], results: Any) -> Values:
    """Values of nested lists of results, one level of lists for each dimension."""
    read = {name: _read(path, results) for name, path in paths.items()}
    return {name: np.array(of, _dtype(name)) for name, of in read.items()}


def _dtype(name: str) -> Any:
    if "exceeds_one" in name:
        return object
    return _DTYPES.get(name.rpartition("_")[2], float)


def _padded_columns(paths: Mapping[str, str], results: Any, depth: int) -> Values:
    """The same of vectors, padded with NaN to the longest, along the last dimension."""
    return {name: padded(_read(path, results), depth) for name, path in paths.items()}


def _read(path: str, results: Any) -> Any:
    """An attribute of every one of nested lists of results."""
    if isinstance(results, list | tuple) and not hasattr(results, "_fields"):
        return [_read(path, each) for each in results]
    return attrgetter(path)(results)


def _masses(hessians: Sequence[Sequence[HessianSpectrum]]) -> Values:
    """Shares of the spectrum, with their standard errors over starts."""
    pairs = {name: np.array(_read(f"masses.{of}", hessians)) for name, of in _MASSES.items()}
    shares = {name: pair[..., 0] for name, pair in pairs.items()}
    return shares | {f"{name}_se": pair[..., 1] for name, pair in pairs.items()}


def _densities(hessians: list[list[HessianSpectrum]]) -> Values:
    """Smoothed density and cumulative measure of every spectrum, each on its own axis."""
    axis, smoothed, total, error = np.empty((4, len(hessians), len(hessians[0]), GRID))
    for at in np.ndindex(axis.shape[:2]):
        runs = hessians[at[0]][at[1]].runs
        axis[at] = grid(runs, GRID)
        smoothed[at] = density(runs, axis[at])
        total[at], error[at] = cumulative(runs, axis[at])
    return {
        "density_grid": axis,
        "density": smoothed,
        "cumulative": total,
        "cumulative_se": error,
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
