"""The spectra of a probe as labelled arrays, for its dataset."""

from collections.abc import Callable
from typing import Any

import numpy as np

from hessdiag import spectra
from hessdiag.train.spectral_probe import StepSpectrum

GRID = 256  # points of the density's axis
STEPS = ("unroll", "inner_step")

Variables = dict[str, tuple[tuple[str, ...], np.ndarray, str, str]]
"""Name → dimensions, values, long name, units."""

_WITH_ERROR = (
    ("hessian_min", "ends", "lowest", "lowest eigenvalue of the Hessian of the inner loss"),
    ("hessian_max", "ends", "highest", "highest eigenvalue of the Hessian of the inner loss"),
    ("paper_low", "shifted", "low_minus_one", "lowest eigenvalue of I + H, minus one"),
    ("paper_high", "shifted", "high_minus_one", "highest eigenvalue of I + H, minus one"),
    (
        "spectral_radius_minus_one",
        "shifted",
        "spectral_radius_minus_one",
        "spectral radius of I + H, minus one",
    ),
)
_MASSES = (
    ("mass_above_zero", "above", "above 0"),
    ("mass_inside", "inside", "in [-2, 0] without the zeros"),
    ("mass_below_minus_two", "below", "below -2"),
    ("mass_at_zero", "zero", "at 0 to rounding"),
    ("mass_undecided", "undecided", "on a side of 0 or -2 that the errors leave open"),
)


def spectral_variables(measured: list[list[StepSpectrum]]) -> Variables:
    """All that was measured, by unroll and inner step.

    Args:
        measured: result of `SpectralProbe.measure`.
    """
    rate = np.array([step.alpha for step in measured[0]])
    return (
        _eigenvalues(measured)
        | _masses(measured)
        | _diagnostics(measured)
        | {"learning_rate": (("inner_step",), rate, "learning rate of the inner step", "1")}
        | _ritz(measured)
        | _densities(measured)
    )


def _table(measured, read: Callable[[StepSpectrum], Any], dtype: Any = float) -> np.ndarray:
    return np.array([[read(step) for step in row] for row in measured], dtype)


def _eigenvalues(measured) -> Variables:
    """Ends of the spectra, each with its error."""
    variables: Variables = {}
    for name, group, field, text in _WITH_ERROR:
        for suffix, meaning in (("", text), ("_error", f"error of the {text}")):
            values = _table(
                measured, lambda s, g=group, f=field + suffix: getattr(getattr(s, g), f)
            )
            variables[name + suffix] = (STEPS, values, meaning, "1")
    return variables


def _masses(measured) -> Variables:
    """Shares of the spectrum of H, each with its standard error over starts."""
    variables: Variables = {}
    for name, field, where in _MASSES:
        text = f"share of H's spectrum {where}"
        for at, suffix, meaning in ((0, "", text), (1, "_se", f"standard error of the {text}")):
            values = _table(measured, lambda s, f=field, at=at: getattr(s.masses, f)[at])
            variables[name + suffix] = (STEPS, values, meaning, "1")
    return variables


def _diagnostics(measured) -> Variables:
    """What says how far the numbers can be trusted."""
    read: tuple[tuple[str, Callable[[StepSpectrum], Any], Any, str], ...] = (
        ("symmetry_defect", lambda s: s.symmetry_defect, float, "relative asymmetry"),
        ("start_disagreement", lambda s: s.ends.disagreement, float, "starts apart, over errors"),
        ("orthogonality", lambda s: s.ends.orthogonality, float, "largest entry of |QQ' - I|"),
        ("matvecs", lambda s: s.ends.matvecs, np.int32, "products spent"),
        ("converged", lambda s: s.ends.converged, np.int8, "every start reached the tolerance"),
        (
            "exceeds_one",
            lambda s: s.shifted.exceeds_one,
            object,
            "whether the spectral radius of I + H exceeds one, by its interval",
        ),
    )
    return {
        name: (STEPS, _table(measured, value, dtype), text, "1")
        for name, value, dtype, text in read
    }


def _ritz(measured: list[list[StepSpectrum]]) -> Variables:
    """All Ritz values, padded with NaN to the longest run."""
    starts = len(measured[0][0].runs)
    longest = max(len(run.values) for row in measured for step in row for run in step.runs)
    dims = ("unroll", "inner_step", "start", "ritz")
    variables: Variables = {}
    for name, field, text in (
        ("ritz_value", "values", "eigenvalue estimate of the Hessian of the inner loss"),
        ("ritz_weight", "weights", "its weight in the spectral measure of the start"),
        ("ritz_error", "errors", "its error"),
    ):
        padded = np.full((len(measured), len(measured[0]), starts, longest), np.nan)
        for at in np.ndindex(padded.shape[:3]):
            values = getattr(measured[at[0]][at[1]].runs[at[2]], field)
            padded[at][: len(values)] = values
        variables[name] = (dims, padded, text, "1")
    return variables


def _densities(measured: list[list[StepSpectrum]]) -> Variables:
    """Smoothed density and cumulative measure of every spectrum, each on its own axis."""
    dims = ("unroll", "inner_step", "grid")
    shape = (len(measured), len(measured[0]), GRID)
    axis, density, total, error = (np.empty(shape) for _ in range(4))
    for at in np.ndindex(shape[:2]):
        runs = measured[at[0]][at[1]].runs
        axis[at] = spectra.grid(runs, GRID)
        density[at] = spectra.density(runs, axis[at])
        total[at], error[at] = spectra.cumulative(runs, axis[at])
    return {
        "density_grid": (dims, axis, "eigenvalue of the Hessian of the inner loss", "1"),
        "density": (dims, density, "smoothed spectral density", "1"),
        "cumulative": (dims, total, "share of eigenvalues at or below", "1"),
        "cumulative_se": (dims, error, "its standard error over starts", "1"),
    }
