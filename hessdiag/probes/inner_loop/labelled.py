"""Spectra along inner loops as labelled arrays, for a dataset."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hessdiag.probes.inner_loop.labelled_operators import (
    operator_variables,
    path_variables,
    product_variables,
)
from hessdiag.probes.inner_loop.measured import HessianSpectrum, InnerLoopSpectra
from hessdiag.spectra.density import cumulative, density, grid
from hessdiag.spectra.variables import STEPS, Variables, padded, table

GRID = 256  # points of the density's axis

_WITH_ERROR = (
    ("hessian_min", "ends", "lowest", "lowest eigenvalue of the Hessian of the inner loss"),
    ("hessian_max", "ends", "highest", "highest eigenvalue of the Hessian of the inner loss"),
)
_SHIFTED = (
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


def inner_loop_variables(loops: Sequence[InnerLoopSpectra]) -> Variables:
    """All that was measured, by unroll and inner step.

    Args:
        loops: Inner loops of one length; the other operators of those that have them.
    """
    with_operators = [loop for loop in loops if loop.operators or loop.products]
    measured = [loop.hessians for loop in loops]
    rates = [step.alpha for step in measured[0]]
    variables = _eigenvalues(measured, _WITH_ERROR) | _diagnostics(measured)
    if None not in rates:
        long_name = "learning rate of the inner step"
        variables |= _eigenvalues(measured, _SHIFTED) | _masses(measured) | _verdicts(measured)
        variables["learning_rate"] = (("inner_step",), np.array(rates), long_name, "1")
    return (
        variables
        | _ritz(measured)
        | _densities(measured)
        | operator_variables(with_operators)
        | product_variables(with_operators)
        | path_variables(with_operators)
    )


def _eigenvalues(measured, described) -> Variables:
    """Ends of the spectra, each with its error."""
    variables: Variables = {}
    for name, group, field, text in described:
        for suffix, meaning in (("", text), ("_error", f"error of the {text}")):
            values = table(measured, lambda s, g=group, f=field + suffix: getattr(getattr(s, g), f))
            variables[name + suffix] = (STEPS, values, meaning, "1")
    return variables


def _masses(measured) -> Variables:
    """Shares of the spectrum of H, each with its standard error over starts."""
    variables: Variables = {}
    for name, field, where in _MASSES:
        text = f"share of H's spectrum {where}"
        for at, suffix, meaning in ((0, "", text), (1, "_se", f"standard error of the {text}")):
            values = table(measured, lambda s, f=field, at=at: getattr(s.masses, f)[at])
            variables[name + suffix] = (STEPS, values, meaning, "1")
    return variables


def _diagnostics(measured) -> Variables:
    """What says how far the numbers can be trusted."""
    read: tuple[tuple[str, Callable[[HessianSpectrum], Any], Any, str], ...] = (
        ("symmetry_defect", lambda s: s.symmetry_defect, float, "relative asymmetry"),
        ("start_disagreement", lambda s: s.ends.disagreement, float, "starts apart, over errors"),
        ("orthogonality", lambda s: s.ends.orthogonality, float, "largest entry of |QQ' - I|"),
        ("matvecs", lambda s: s.ends.matvecs, np.int32, "products spent"),
        ("converged", lambda s: s.ends.converged, np.int8, "every start reached the tolerance"),
    )
    return {
        name: (STEPS, table(measured, value, dtype), text, "1") for name, value, dtype, text in read
    }


def _verdicts(measured) -> Variables:
    text = "whether the spectral radius of I + H exceeds one, by its interval"
    words = table(measured, lambda s: s.shifted.exceeds_one, object)
    return {"exceeds_one": (STEPS, words, text, "1")}


def _ritz(measured: list[list[HessianSpectrum]]) -> Variables:
    """All Ritz values, padded with NaN to the longest run."""
    dims = ("unroll", "inner_step", "start", "ritz")
    return {
        name: (
            dims,
            padded([[[getattr(r, field) for r in s.runs] for s in row] for row in measured], 3),
            text,
            "1",
        )
        for name, field, text in (
            ("ritz_value", "values", "eigenvalue estimate of the Hessian of the inner loss"),
            ("ritz_weight", "weights", "its weight in the spectral measure of the start"),
            ("ritz_error", "errors", "its error"),
        )
    }


def _densities(measured: list[list[HessianSpectrum]]) -> Variables:
    """Smoothed density and cumulative measure of every spectrum, each on its own axis."""
    dims = ("unroll", "inner_step", "grid")
    shape = (len(measured), len(measured[0]), GRID)
    axis, smoothed, total, error = (np.empty(shape) for _ in range(4))
    for at in np.ndindex(shape[:2]):
        runs = measured[at[0]][at[1]].runs
        axis[at] = grid(runs, GRID)
        smoothed[at] = density(runs, axis[at])
        total[at], error[at] = cumulative(runs, axis[at])
    return {
        "density_grid": (dims, axis, "eigenvalue of the Hessian of the inner loss", "1"),
        "density": (dims, smoothed, "smoothed spectral density", "1"),
        "cumulative": (dims, total, "share of eigenvalues at or below", "1"),
        "cumulative_se": (dims, error, "its standard error over starts", "1"),
    }
