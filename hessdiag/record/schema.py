"""Every variable of a probe: its dimensions, units and meaning, and the part that makes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

SAMPLES = frozenset({"meta_gradient", "cut_meta_gradient", "contribution"})
"""Variables with a value per sample: large, and needed by no report."""

_ETA = "loss per unit of eta"
_STEPS = ("unroll", "inner_step")
_RITZ = (*_STEPS, "start", "ritz")
_GRID = (*_STEPS, "grid")
_OPERATOR = ("operator_unroll", "inner_step", "operator")
_VALUES = (*_OPERATOR, "operator_ritz")
_PRODUCT = ("operator_unroll", "term", "operator")
_PATH = ("operator_unroll", "inner_step")
_PER_TERM = (*_PATH, "meta_parameter")
_GROWTH = ("estimator", "horizon")
_PER_ETA = (*_GROWTH, "meta_parameter")
_PREDICTED = ("explanation", "horizon")
_CUT = ("cut", "cut_horizon")
_TERM = ("cut_horizon", "inner_step", "meta_parameter")
_H = "of the Hessian of the inner loss"


@dataclass(frozen=True)
class Variable:
    """What a probe's variable is.

    Attributes:
        part: of the probe that makes it: "spectra", "operators", "products", "paths", "spread",
            "predictions", "terms", "alignment", "sources" or "sensitivity".
        dims: its dimensions.
        long_name: its meaning.
        units: of its values; "1" where they have none.
    """

    part: str
    dims: tuple[str, ...]
    long_name: str
    units: str = "1"


def described(variables: Mapping[str, Any], **options: Any) -> xr.Dataset:
    """A dataset of these variables with the dimensions, meaning and units of the schema.

    Args:
        variables: values by name.
        options: coordinates and attributes of the dataset.

    Raises:
        KeyError: a variable that the schema does not have.
    """
    return xr.Dataset(
        {
            name: (
                SCHEMA[name].dims,
                values,
                {"long_name": SCHEMA[name].long_name, "units": SCHEMA[name].units},
            )
            for name, values in variables.items()
        },
        **options,
    )


def _with_ends(name: str, *what: Any) -> dict[str, Variable]:
    """A value and both ends of its interval."""
    part, dims, text, *units = what
    return {
        name: Variable(part, dims, text, *units),
        f"{name}_low": Variable(part, dims, f"{text}, lower end of its interval", *units),
        f"{name}_high": Variable(part, dims, f"{text}, upper end of its interval", *units),
    }


def _with_error(suffix: str, kind: str, name: str, *what: Any) -> dict[str, Variable]:
    """A value and how far it may be off."""
    part, dims, text = what
    return {
        name: Variable(part, dims, text),
        f"{name}_{suffix}": Variable(part, dims, f"{kind} of the {text}"),
    }


def _spectra() -> Iterator[dict[str, Variable]]:
    for name, text in (
        ("hessian_min", f"lowest eigenvalue {_H}"),
        ("hessian_max", f"highest eigenvalue {_H}"),
        ("paper_low", "lowest eigenvalue of I + H, minus one"),
        ("paper_high", "highest eigenvalue of I + H, minus one"),
        ("spectral_radius_minus_one", "spectral radius of I + H, minus one"),
    ):
        yield _with_error("error", "error", name, "spectra", _STEPS, text)
    for name, where in (
        ("mass_above_zero", "above 0"),
        ("mass_inside", "in [-2, 0] without the zeros"),
        ("mass_below_minus_two", "below -2"),
        ("mass_at_zero", "at 0 to rounding"),
        ("mass_undecided", "on a side of 0 or -2 that the errors leave open"),
    ):
        text = f"share of H's spectrum {where}"
        yield _with_error("se", "standard error", name, "spectra", _STEPS, text)
    for name, dims, text in (
        ("symmetry_defect", _STEPS, "relative asymmetry"),
        ("start_disagreement", _STEPS, "starts apart, over errors"),
        ("orthogonality", _STEPS, "largest entry of |QQ' - I|"),
        ("matvecs", _STEPS, "products spent"),
        ("converged", _STEPS, "every start reached the tolerance"),
        ("exceeds_one", _STEPS, "whether the spectral radius of I + H exceeds one"),
        ("learning_rate", _STEPS[1:], "learning rate of the inner step"),
        ("ritz_value", _RITZ, f"eigenvalue estimate {_H}"),
        ("ritz_weight", _RITZ, "its weight in the spectral measure of the start"),
        ("ritz_error", _RITZ, "its error"),
        ("density_grid", _GRID, f"eigenvalue {_H}"),
        ("density", _GRID, "smoothed spectral density"),
        ("cumulative", _GRID, "share of eigenvalues at or below"),
        ("cumulative_se", _GRID, "its standard error over starts"),
    ):
        yield {name: Variable("spectra", dims, text)}


def _operators() -> Iterator[dict[str, Variable]]:
    norm = "norm of the product over the last i - 1 inner steps, as a map of the parameters"
    balanced = "in balanced coordinates"
    for part, dims, name, text in (
        ("operators", _OPERATOR, "operator_radius_minus_one", "spectral radius, minus one"),
        ("operators", _OPERATOR, "operator_radius_error", "bound on its error"),
        ("operators", _OPERATOR, "operator_radius_estimate", "first-order error, no bound"),
        (
            "operators",
            _OPERATOR,
            "operator_exceeds_one",
            "whether the spectral radius exceeds one, by the bound on its error",
        ),
        ("operators", _OPERATOR, "operator_exceeds_one_first_order", "by the first-order error"),
        ("operators", _OPERATOR, "departure", f"bound on the departure from normality, {balanced}"),
        ("operators", _OPERATOR, "departure_se", "its standard error"),
        (
            "operators",
            _OPERATOR,
            "operator_frobenius",
            f"Frobenius norm of the operator minus the identity, {balanced}",
        ),
        ("operators", _OPERATOR, "operator_matvecs", "products spent on the eigenvalues"),
        ("operators", _OPERATOR, "operator_converged", "the outermost value met the tolerance"),
        ("operators", _VALUES, "operator_value_real", "real part of an eigenvalue minus one"),
        ("operators", _VALUES, "operator_value_imag", "imaginary part of an eigenvalue"),
        ("operators", _VALUES, "operator_value_error", "bound on the eigenvalue's error"),
        ("operators", _VALUES, "operator_value_estimate", "its first-order error, no bound"),
        ("products", _PRODUCT, "product_norm_minus_one", f"{norm}, minus one"),
        ("products", _PRODUCT, "product_norm_error", "bound on its error"),
        ("products", _PRODUCT, "product_exceeds_one", "whether the norm exceeds one"),
        ("products", _PRODUCT, "product_matvecs", "products with P'P spent"),
        ("products", _PRODUCT, "product_converged", "the norm met the tolerance"),
        ("paths", _PATH, "path_norm", "norm of the derivative of theta^(n) in g^(j)"),
        ("paths", _PATH, "path_norm_error", "bound on its error"),
        ("paths", _PATH, "path_matvecs", "products spent"),
        ("paths", _PATH, "path_converged", "the norm met the tolerance"),
    ):
        yield {name: Variable(part, dims, text)}


def _spread() -> Iterator[dict[str, Variable]]:
    samples = ("sample", *_PER_ETA[1:])
    text = "i-step meta-gradient with respect to the unconstrained eta"
    yield {"meta_gradient": Variable("spread", samples, text, _ETA)}
    deviation = "standard deviation of the meta-gradient"
    yield _with_ends("mean", "spread", _PER_ETA, "mean of the meta-gradient", _ETA)
    yield _with_ends("std", "spread", _PER_ETA, deviation, _ETA)
    yield _with_ends(
        "ratio", "spread", _PER_ETA, "standard deviation over that of the 1-step estimator"
    )
    yield _with_ends("growth", "spread", _GROWTH, "ratio averaged over meta-parameters")
    text = "mean difference to the longest horizon's n-step meta-gradient"
    yield {"bias": Variable("spread", _PER_ETA, text, _ETA)}
    text = "standard error of the bias, its Monte-Carlo floor"
    yield {"bias_error": Variable("spread", _PER_ETA, text, _ETA)}
    text = "predicted growth of the standard deviation"
    yield _with_ends("prediction", "predictions", _PREDICTED, text)
    mix = "predicted growth of the mix, the horizons that it averages varying"
    yield {
        "mix_prediction": Variable("predictions", _PREDICTED, f"{mix} independently"),
        "mix_prediction_coherent": Variable("predictions", _PREDICTED, f"{mix} as one"),
    }


def _terms() -> Iterator[dict[str, Variable]]:
    dims = ("sample", *_CUT, "meta_parameter")
    text = "i-step meta-gradient with paths cut"
    yield {"cut_meta_gradient": Variable("terms", dims, text, _ETA)}
    text = "contribution of one inner update to the i-step meta-gradient (eq. 11)"
    yield {"contribution": Variable("terms", ("sample", *_TERM), text, _ETA)}
    dims = ("cut_horizon", "inner_step", "other_step", "meta_parameter")
    text = "covariance of the terms over samples"
    yield {"term_covariance": Variable("terms", dims, text, f"({_ETA})^2")}
    text = "growth of the standard deviation with paths cut"
    yield _with_ends("cut_growth", "terms", _CUT, text)
    yield _with_ends("cut_removed", "terms", _CUT, "share of the log-growth that a cut removes")
    yield _with_ends("coherence", "terms", _CUT[1:], "coherence of the terms")
    for name, dims, text in (
        ("term_alignment", _TERM, "cosine of T's reach and what eta moves an inner gradient by"),
        (
            "term_reach",
            _TERM[:2],
            "norm of T times the derivative of theta in g^(j), over that of T",
        ),
        ("outer_norm", _TERM[:1], "norm of T"),
        ("mixed_norm", _TERM[1:], "norm of the derivative of an inner gradient in eta"),
        ("left_out", _TERM[1:2], "eigenpairs that the stable Hessian leaves out"),
    ):
        yield {name: Variable("terms", dims, f"{text}, sample mean")}
    for name, dims, text in (
        (
            "path_alignment",
            _PER_TERM,
            "T G dg/deta over |T| |G| |dg/deta|, G the derivative of theta^(n) in g",
        ),
        ("eq11_alignment", _PER_TERM, "T P_i N_i over |T| |P_i| |N_i|"),
        ("eq11_mixed_norm", _PER_TERM, "norm of N_i"),
        ("eq11_outer_norm", _PATH[:1], "norm of T after n updates"),
        ("eq11_product_norm", _PATH, "norm of P_i"),
    ):
        yield {name: Variable("alignment", dims, text)}


def _sources() -> Iterator[dict[str, Variable]]:
    for name, dims, source in (
        ("validation_share", ("horizon",), "validation trajectories"),
        ("inner_share", ("horizon",), "inner trajectories"),
        ("step_share", ("horizon", "inner_step"), "one inner step's trajectories"),
    ):
        yield _with_ends(name, "sources", dims, f"share of the variance from {source}")
    text = "standard deviation, from the sum of the shares' parts"
    yield _with_ends("nested_std", "sources", _PER_ETA[1:], text, _ETA)
    text = "norm of the derivative of theta in eta over that after one step, mean over eta"
    dims = ("sensitivity_sample", "horizon")
    yield {"sensitivity_growth": Variable("sensitivity", dims, text)}


SCHEMA: Mapping[str, Variable] = {
    name: variable
    for part in (_spectra, _operators, _spread, _terms, _sources)
    for variables in part()
    for name, variable in variables.items()
}
"""By name: all variables that a probe may have."""
