"""Spectra along inner loops as variables of a probe; `hessdiag.record.schema` says what each is."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from hessdiag import spectra
from hessdiag.probes.inner_loop.measured import HessianSpectrum, InnerLoopSpectra, OperatorSpectrum
from hessdiag.record.schema import SCHEMA
from hessdiag.spectra.complex_ritz import ComplexRitzValues, SpectralRadius
from hessdiag.spectra.normality import Departure

Values = dict[str, Any]
GRID = 256  # points of the density's axis

# The attribute behind every variable, by what has it.
_HESSIAN = {
    "hessian_min": "ends.lowest",
    "hessian_min_error": "ends.lowest_error",
    "hessian_max": "ends.highest",
    "hessian_max_error": "ends.highest_error",
    "symmetry_defect": "symmetry_defect",
    "start_disagreement": "ends.disagreement",
    "orthogonality": "ends.orthogonality",
    "matvecs": "ends.matvecs",
    "converged": "ends.converged",
}
_SHIFTED = {
    "paper_low": "low_minus_one",
    "paper_low_error": "low_minus_one_error",
    "paper_high": "high_minus_one",
    "paper_high_error": "high_minus_one_error",
    "spectral_radius_minus_one": "spectral_radius_minus_one",
    "spectral_radius_minus_one_error": "spectral_radius_minus_one_error",
    "exceeds_one": "exceeds_one",
}
_MASSES = {
    "mass_above_zero": "above",
    "mass_inside": "inside",
    "mass_below_minus_two": "below",
    "mass_at_zero": "zero",
    "mass_undecided": "undecided",
}
_RUN = {"ritz_value": "values", "ritz_weight": "weights", "ritz_error": "errors"}
_OPERATOR = {
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
    "operator_value_real": "ritz.values.real",
    "operator_value_imag": "ritz.values.imag",
    "operator_value_error": "ritz.errors",
    "operator_value_estimate": "ritz.estimates",
}
_PRODUCT = {
    "product_norm_minus_one": "norm.minus_one",
    "product_norm_error": "norm.error",
    "product_exceeds_one": "norm.exceeds_one",
    "product_matvecs": "matvecs",
    "product_converged": "converged",
}
_PATH = {
    "path_norm": "value",
    "path_norm_error": "error",
    "path_matvecs": "matvecs",
    "path_converged": "converged",
}
_EDGE = {
    "edge": "limit",
    "edge_sharpness": "sharpness",
    "edge_sharpness_error": "error",
    "edge_share": "share",
    "edge_share_error": "share_error",
    "batch_sharpness": "along_gradient",
    "edge_matvecs": "matvecs",
}
_DTYPES: dict[str, Any] = {"matvecs": np.int32, "converged": np.int8}  # by the last word of a name


def inner_loop_variables(loops: Sequence[InnerLoopSpectra]) -> Values:
    """All that was measured along loops of one length, by unroll and inner step."""
    hessians = [loop.hessians for loop in loops]
    rates = [step.alpha for step in hessians[0]]
    values = _columns(_HESSIAN, hessians)
    if None not in rates:
        values |= _columns(_SHIFTED, _read("shifted", hessians))
        values |= _masses(_read("masses", hessians))
        values["learning_rate"] = np.array(rates)
    values |= _columns(_RUN, _read("runs", hessians)) | _densities(hessians)
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
        by_step = [list(zip(*(_spectra(loop, n) for n in names), strict=True)) for loop in loops]
        values |= _columns(_OPERATOR, by_step)
    if names and set(names) <= set(loops[0].products):
        by_term = [list(zip(*(loop.products[n] for n in names), strict=True)) for loop in loops]
        values |= _columns(_PRODUCT, by_term)
    if loops and all(loop.edge for loop in loops):
        values |= _columns(_EDGE, [loop.edge for loop in loops])
    if loops and all(loop.paths for loop in loops):
        values |= _columns(_PATH, [loop.paths for loop in loops])
    return values


def _columns(paths: Mapping[str, str], results: Any) -> Values:
    """Attributes of results in nested lists, one level for each dimension; vectors are padded."""
    columns = {}
    for name, path in paths.items():
        *outer, last = SCHEMA[name].dims
        values, ragged = _read(path, results), last.endswith("ritz")
        dtype = object if "exceeds_one" in name else _DTYPES.get(name.split("_")[-1], float)
        columns[name] = spectra.padded(values, len(outer)) if ragged else np.array(values, dtype)
    return columns


def _read(path: str, results: Any) -> Any:
    """An attribute of every one of nested lists of results."""
    if isinstance(results, list | tuple) and not hasattr(results, "_fields"):
        return [_read(path, result) for result in results]
    return attrgetter(path)(results)


def _masses(masses: Any) -> Values:
    """Shares of the spectrum, with the half-widths of their intervals."""
    pairs = {name: np.array(_read(field, masses)) for name, field in _MASSES.items()}
    shares = {name: pair[..., 0] for name, pair in pairs.items()}
    return shares | {f"{name}_error": pair[..., 1] for name, pair in pairs.items()}


def _densities(hessians: list[list[HessianSpectrum]]) -> Values:
    """Smoothed density and cumulative measure of every spectrum, each on its own axis."""
    axis, smoothed, total, error = np.empty((4, len(hessians), len(hessians[0]), GRID))
    for place in np.ndindex(axis.shape[:2]):
        runs = hessians[place[0]][place[1]].runs
        axis[place] = spectra.grid(runs, GRID)
        smoothed[place] = spectra.density(runs, axis[place])
        total[place], error[place] = spectra.cumulative(runs, axis[place])
    names = ("density_grid", "density", "cumulative", "cumulative_error")
    return dict(zip(names, (axis, smoothed, total, error), strict=True))


def _spectra(loop: InnerLoopSpectra, name: str) -> list[OperatorSpectrum]:
    return [_of_paper(h) for h in loop.hessians] if name == "paper" else loop.operators[name]


def _of_paper(spectrum: HessianSpectrum) -> OperatorSpectrum:
    """I + H from the spectrum of the Hessian; it is symmetric, and its errors are bounds."""
    assert spectrum.shifted is not None
    assert spectrum.alpha is not None
    alpha, run, shifted = spectrum.alpha, spectrum.runs[0], spectrum.shifted
    squares = [np.sum(r.weights * r.values**2) * spectrum.size for r in spectrum.runs]
    errors, error = alpha * run.errors, shifted.spectral_radius_minus_one_error
    return OperatorSpectrum(
        ritz=ComplexRitzValues(
            values=-alpha * run.values + 0j,
            residuals=errors,
            conditions=np.ones_like(errors),
            estimates=errors,
            errors=errors,
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
