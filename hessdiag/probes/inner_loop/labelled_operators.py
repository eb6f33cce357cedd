"""The operators of inner steps and their products as labelled arrays, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hessdiag.probes.inner_loop.measured import HessianSpectrum, InnerLoopSpectra, OperatorSpectrum
from hessdiag.spectra.variables import Variables, padded, table

_OPERATOR = ("operator_unroll", "inner_step", "operator")
_PRODUCT = ("operator_unroll", "term", "operator")
_PATH = ("operator_unroll", "inner_step")


@dataclass(frozen=True)
class _Row:
    """One operator at one inner step, whichever algorithm it came from."""

    radius: float
    error: float
    estimate: float
    exceeds_one: str
    exceeds_one_first_order: str
    departure: float
    departure_se: float
    frobenius: float
    matvecs: int
    converged: bool
    values: np.ndarray
    value_errors: np.ndarray
    value_estimates: np.ndarray


_NUMBERS: tuple[tuple[str, Callable[[_Row], Any], Any, str], ...] = (
    ("operator_radius_minus_one", lambda r: r.radius, float, "spectral radius, minus one"),
    ("operator_radius_error", lambda r: r.error, float, "bound on its error"),
    ("operator_radius_estimate", lambda r: r.estimate, float, "first-order error, no bound"),
    (
        "operator_exceeds_one",
        lambda r: r.exceeds_one,
        object,
        "whether the spectral radius exceeds one, by the bound on its error",
    ),
    (
        "operator_exceeds_one_first_order",
        lambda r: r.exceeds_one_first_order,
        object,
        "the same by the first-order error",
    ),
    (
        "departure",
        lambda r: r.departure,
        float,
        "bound on the Frobenius departure from normality, in balanced coordinates",
    ),
    ("departure_se", lambda r: r.departure_se, float, "its standard error"),
    (
        "operator_frobenius",
        lambda r: r.frobenius,
        float,
        "Frobenius norm of the operator minus the identity, in balanced coordinates",
    ),
    ("operator_matvecs", lambda r: r.matvecs, np.int32, "products spent on the eigenvalues"),
    ("operator_converged", lambda r: r.converged, np.int8, "the outermost value met the tolerance"),
)
_VALUES: tuple[tuple[str, Callable[[_Row], np.ndarray], str], ...] = (
    ("operator_value_real", lambda r: np.real(r.values), "real part of an eigenvalue minus one"),
    ("operator_value_imag", lambda r: np.imag(r.values), "imaginary part of an eigenvalue"),
    ("operator_value_error", lambda r: r.value_errors, "bound on the eigenvalue's error"),
    ("operator_value_estimate", lambda r: r.value_estimates, "its first-order error, no bound"),
)


def operator_names(loops: Sequence[InnerLoopSpectra]) -> list[str]:
    """The operators that were measured, from the published approximation to the exact map."""
    if not loops:
        return []
    paper = ["paper"] if loops[0].hessians[0].shifted is not None else []
    return paper + list(loops[0].operators)


def operator_variables(loops: Sequence[InnerLoopSpectra]) -> Variables:
    """Spectral radii, normality and Ritz values by unroll, inner step and operator.

    Args:
        loops: Inner loops of one length, measured alike.
    """
    names = operator_names(loops)
    if not names:
        return {}
    rows = [
        [[_row(loop, name, j) for name in names] for j in range(len(loop.hessians))]
        for loop in loops
    ]
    variables: Variables = {
        name: (
            _OPERATOR,
            table(rows, lambda step, read=read: [read(r) for r in step], dtype),
            text,
            "1",
        )
        for name, read, dtype, text in _NUMBERS
    }
    for name, read, text in _VALUES:
        values = padded([[[read(r) for r in step] for step in loop] for loop in rows], 3)
        variables[name] = ((*_OPERATOR, "operator_ritz"), values, text, "1")
    return variables


def product_variables(loops: Sequence[InnerLoopSpectra]) -> Variables:
    """Norms of the products by unroll, term i of eq. 11 and operator.

    Args:
        loops: Inner loops of one length, measured alike.
    """
    names = operator_names(loops)
    if not names or not set(names) <= set(loops[0].products):
        return {}
    rows = [list(zip(*(loop.products[name] for name in names), strict=True)) for loop in loops]
    text = "norm of the product over the last i - 1 inner steps, as a map of the parameters"
    described: tuple[tuple[str, Callable, Any, str], ...] = (
        ("product_norm_minus_one", lambda p: p.norm.minus_one, float, f"{text}, minus one"),
        ("product_norm_error", lambda p: p.norm.error, float, "bound on its error"),
        (
            "product_exceeds_one",
            lambda p: p.norm.exceeds_one,
            object,
            "whether the norm exceeds one, by its interval",
        ),
        ("product_matvecs", lambda p: p.matvecs, np.int32, "products with P'P spent"),
        ("product_converged", lambda p: p.converged, np.int8, "the norm met the tolerance"),
    )
    return {
        name: (
            _PRODUCT,
            table(rows, lambda term, read=read: [read(p) for p in term], dtype),
            long_name,
            "1",
        )
        for name, read, dtype, long_name in described
    }


def path_variables(loops: Sequence[InnerLoopSpectra]) -> Variables:
    """Norms of the derivatives of the last theta in each inner gradient, by unroll and inner step.

    Args:
        loops: Inner loops of one length, measured alike.
    """
    rows = [loop.paths for loop in loops]
    if not rows or not all(rows):
        return {}
    described: tuple[tuple[str, Callable, Any, str], ...] = (
        ("path_norm", lambda p: p.value, float, "norm of the derivative of theta^(n) in g^(j)"),
        ("path_norm_error", lambda p: p.error, float, "bound on its error"),
        ("path_matvecs", lambda p: p.matvecs, np.int32, "products spent"),
        ("path_converged", lambda p: p.converged, np.int8, "the norm met the tolerance"),
    )
    return {
        name: (_PATH, table(rows, read, dtype), long_name, "1")
        for name, read, dtype, long_name in described
    }


def _row(loop: InnerLoopSpectra, name: str, j: int) -> _Row:
    if name == "paper":
        return _of_paper(loop.hessians[j])
    return _of_operator(loop.operators[name][j])


def _of_operator(spectrum: OperatorSpectrum) -> _Row:
    ritz, radius, departure = spectrum.ritz, spectrum.radius, spectrum.departure
    return _Row(
        radius=radius.minus_one,
        error=radius.error,
        estimate=radius.estimate,
        exceeds_one=radius.exceeds_one,
        exceeds_one_first_order=radius.exceeds_one_to_first_order,
        departure=float(departure.bound),
        departure_se=float(departure.standard_error),
        frobenius=float(departure.frobenius),
        matvecs=ritz.matvecs,
        converged=ritz.converged,
        values=ritz.values,
        value_errors=ritz.errors,
        value_estimates=ritz.estimates,
    )


def _of_paper(spectrum: HessianSpectrum) -> _Row:
    """I + H from the spectrum of the Hessian; it is symmetric, and its errors are bounds."""
    assert spectrum.shifted is not None
    assert spectrum.alpha is not None
    alpha, run = spectrum.alpha, spectrum.runs[0]
    squares = [np.sum(r.weights * r.values**2) * spectrum.size for r in spectrum.runs]
    return _Row(
        radius=spectrum.shifted.spectral_radius_minus_one,
        error=spectrum.shifted.spectral_radius_minus_one_error,
        estimate=spectrum.shifted.spectral_radius_minus_one_error,
        exceeds_one=spectrum.shifted.exceeds_one,
        exceeds_one_first_order=spectrum.shifted.exceeds_one,
        departure=0.0,
        departure_se=0.0,
        frobenius=alpha * float(np.sqrt(np.mean(squares))),
        matvecs=spectrum.ends.matvecs,
        converged=spectrum.ends.converged,
        values=-alpha * run.values + 0j,
        value_errors=alpha * run.errors,
        value_estimates=alpha * run.errors,
    )
