"""Every variable of a probe: its dimensions, units and meaning, and the part that makes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

SAMPLES = frozenset({"meta_gradient", "cut_meta_gradient", "contribution"})
"""Variables with a value per sample: large, and needed by no report."""

_UNITS = {
    "1": "1",
    "eta": "loss per unit of eta",
    "eta2": "(loss per unit of eta)^2",
    "bend": "loss per squared unit of eta",
}
_BESIDE = {  # what stands beside a value: how it is called after it, and what it is
    "ends": {"low": "lower end of the interval of: ", "high": "upper end of the interval of: "},
    "error": {"error": "error of the "},
    "half": {"error": "95 % half-width of the "},
    "se": {"se": "standard error of the "},
}

_AXES = {
    "@path": "operator_unroll inner_step",
    "@operator": "operator_unroll inner_step operator",
    "@values": "operator_unroll inner_step operator operator_ritz",
    "@product": "operator_unroll term operator",
    "@singular": "operator_unroll singular_operator",
    "@loss": "operator_unroll loss_term",
    "@estimate": "estimator horizon meta_parameter",
    "@response": "response horizon eta_direction",
    "@candidate": "candidate meta_parameter",
}

# part; name, and what stands beside it; dimensions; units; meaning
_TABLE = """
spectra; hessian_min error; unroll inner_step; 1; lowest eigenvalue of the Hessian
spectra; hessian_max error; unroll inner_step; 1; highest eigenvalue of the Hessian
spectra; paper_low error; unroll inner_step; 1; lowest eigenvalue of I + H, minus one
spectra; paper_high error; unroll inner_step; 1; highest eigenvalue of I + H, minus one
spectra; spectral_radius_minus_one error; unroll inner_step; 1; spectral radius of I + H, minus one
spectra; exceeds_one; unroll inner_step; 1; whether the spectral radius of I + H exceeds one
spectra; mass_above_zero half; unroll inner_step; 1; share of H's spectrum above 0
spectra; mass_inside half; unroll inner_step; 1; share of H's spectrum in [-2, 0] without the zeros
spectra; mass_below_minus_two half; unroll inner_step; 1; share of H's spectrum below -2
spectra; mass_at_zero half; unroll inner_step; 1; share of H's spectrum at 0 to rounding
spectra; mass_undecided half; unroll inner_step; 1; share of H's spectrum on an open side of 0 or -2
spectra; symmetry_defect; unroll inner_step; 1; relative asymmetry
spectra; start_disagreement; unroll inner_step; 1; starts apart, over errors
spectra; orthogonality; unroll inner_step; 1; largest entry of |QQ' - I|
spectra; matvecs; unroll inner_step; 1; products spent
spectra; converged; unroll inner_step; 1; every start reached the tolerance
spectra; learning_rate; inner_step; 1; learning rate of the inner step
spectra; ritz_value; unroll inner_step start ritz; 1; eigenvalue estimate of the Hessian
spectra; ritz_weight; unroll inner_step start ritz; 1; its weight in the start's spectral measure
spectra; ritz_error; unroll inner_step start ritz; 1; its error
spectra; density_grid; unroll inner_step grid; 1; eigenvalue of the Hessian of the inner loss
spectra; density; unroll inner_step grid; 1; smoothed spectral density
spectra; cumulative half; unroll inner_step grid; 1; share of eigenvalues at or below
leaves; leaf_size; leaf; 1; parameters of the leaf
leaves; leaf_lowest error; leaf; 1; lowest eigenvalue of the leaf's block of the Hessian
leaves; leaf_highest error; leaf; 1; highest eigenvalue of the leaf's block of the Hessian
leaves; leaf_converged; leaf; 1; both ends of the block met the tolerance
leaves; leaf_trace half; leaf; 1; trace of the leaf's block
leaves; leaf_share half; leaf; 1; that trace over that of the chosen leaves together
leaves; leaves_lowest error; ; 1; lowest eigenvalue of the block of the chosen leaves together
leaves; leaves_highest error; ; 1; highest eigenvalue of that block
leaves; leaf_matvecs; ; 1; products spent on chosen leaves
edges; edge; operator_unroll; 1; sharpness up to which the optimiser is stable
edges; edge_sharpness error; operator_unroll; 1; highest eigenvalue of alpha P^-1 Hessian
edges; edge_share error; operator_unroll; 1; sharpness over the optimiser's edge
edges; batch_sharpness; operator_unroll; 1; alpha g'Hg over g'g, first step
edges; edge_matvecs; operator_unroll; 1; products spent
operators; operator_radius_minus_one; @operator; 1; spectral radius, minus one
operators; operator_radius_error; @operator; 1; bound on its error
operators; operator_radius_estimate; @operator; 1; first-order error of it, no bound
operators; operator_exceeds_one; @operator; 1; whether the radius exceeds one, by its bound
operators; operator_exceeds_one_first_order; @operator; 1; the same by first-order error
operators; departure se; @operator; 1; bound on the departure from normality, balanced
operators; operator_frobenius; @operator; 1; Frobenius norm of A - I, balanced
operators; operator_matvecs; @operator; 1; products spent
operators; operator_converged; @operator; 1; the outermost value converged
operators; operator_value_real; @values; 1; real part of an eigenvalue minus one
operators; operator_value_imag; @values; 1; imaginary part of an eigenvalue
operators; operator_value_error; @values; 1; bound on the eigenvalue's error
operators; operator_value_estimate; @values; 1; first-order error of the eigenvalue, no bound
products; product_norm_minus_one; @product; 1; norm of the last i - 1 steps' product, minus one
products; product_norm_error; @product; 1; bound on its error
products; product_exceeds_one; @product; 1; whether the norm exceeds one
products; product_matvecs; @product; 1; products with P'P spent
products; product_converged; @product; 1; the norm met the tolerance
paths; path_norm error; @path; 1; norm of the derivative of theta^(n) in g^(j)
paths; path_matvecs; @path; 1; products spent
paths; path_converged; @path; 1; the norm met the tolerance
spread; meta_gradient; sample horizon meta_parameter; eta; i-step meta-gradient in unconstrained eta
spread; mean ends; @estimate; eta; mean of the meta-gradient
spread; std ends; @estimate; eta; standard deviation of the meta-gradient
spread; ratio ends; @estimate; 1; standard deviation over that of the 1-step estimator
spread; growth ends; estimator horizon; 1; ratio averaged over meta-parameters
spread; bias; @estimate; eta; mean difference to the longest horizon's n-step estimate
spread; bias_error; @estimate; eta; standard error of the bias, its Monte-Carlo floor
predictions; prediction ends; explanation horizon; 1; predicted growth of the standard deviation
predictions; mix_prediction; explanation horizon; 1; growth of the mix, horizons independent
predictions; mix_prediction_coherent; explanation horizon; 1; growth of the mix, horizons as one
terms; cut_meta_gradient; sample cut cut_horizon meta_parameter; eta; meta-gradient with paths cut
terms; contribution; sample cut_horizon inner_step meta_parameter; eta; term of eq. 11
terms; term_covariance; cut_horizon inner_step other_step meta_parameter; eta2; covariance of terms
terms; cut_growth ends; cut cut_horizon; 1; growth of the standard deviation with paths cut
terms; cut_removed ends; cut cut_horizon; 1; share of the log-growth that a cut removes
terms; coherence ends; cut_horizon; 1; coherence of the terms
terms; term_alignment; cut_horizon inner_step meta_parameter; 1; cosine of T's reach and dg/deta
terms; term_reach; cut_horizon inner_step; 1; norm of T dtheta/dg over that of T
terms; outer_norm; cut_horizon; 1; norm of T, sample mean
terms; mixed_norm; inner_step meta_parameter; 1; norm of dg/deta, sample mean
terms; left_out; inner_step; 1; eigenpairs that the stable Hessian leaves out, sample mean
alignment; path_alignment; @path meta_parameter; 1; T G dg/deta over |T| |G| |dg/deta|
alignment; eq11_alignment; @path meta_parameter; 1; T P_i N_i over |T| |P_i| |N_i|
alignment; eq11_mixed_norm; @path meta_parameter; 1; norm of N_i
alignment; eq11_outer_norm; operator_unroll; 1; norm of T after n updates
alignment; eq11_product_norm; @path; 1; norm of P_i
sources; validation_share ends; horizon; 1; share of the variance from validation trajectories
sources; inner_share ends; horizon; 1; share of the variance from inner trajectories
sources; step_share ends; horizon inner_step; 1; share of the variance from one inner step alone
sources; nested_std ends; horizon meta_parameter; eta; standard deviation, from the shares' sum
twins; twin_log_distance half; twin horizon; 1; log of a twin's distance over that at first
twins; twin_samples; ; 1; samples whose twins rounding lets be apart
singular; singular_mass_growing half; @singular; 1; share of singular values above 1.01
singular; singular_mass_kept half; @singular; 1; share of singular values from 0.99 to 1.01
singular; singular_mass_shrinking half; @singular; 1; share of singular values below 0.99
singular; outer_overlap error; @singular; 1; share of |T|^2 on singular values above 1.01
singular; outer_stretch; @singular; 1; |P'T| over |T|, P of all inner steps
singular; random_stretch half; @singular; 1; root mean square of the singular values
singular; singular_matvecs; @singular; 1; products with P'P or PP' spent
smoothness; smoothness_slope half; @response; eta; outer loss, differenced at eta +- h
smoothness; smoothness_slope_wide half; @response; eta; outer loss, differenced at eta +- 2h
smoothness; smoothness_curvature half; @response; bend; second difference of the outer loss
smoothness; smoothness_gradient half; horizon eta_direction; eta; mean of the meta-gradient
smoothness; smoothness_difference half; @response; eta; slope at eta +- h minus meta-gradient
loss-terms; loss_term_lowest error; @loss; 1; lowest eigenvalue of alpha times a term's Hessian
loss-terms; loss_term_highest error; @loss; 1; highest of the same
loss-terms; loss_term_edge_share error; @loss; 1; a term's sharpness over the edge
loss-terms; loss_term_trace_share half; @loss; 1; trace of a term's Hessian over the whole
loss-terms; loss_term_matvecs; @loss; 1; products spent
loss-terms; loss_term_converged; @loss; 1; ends of every start met the tolerance
estimators; candidate_mean se; @candidate; eta; mean of an estimator of the n-step meta-gradient
estimators; candidate_std ends; @candidate; eta; its standard deviation
estimators; candidate_bias; @candidate; eta; its mean difference to the n-step estimate
estimators; candidate_bias_error; @candidate; eta; standard error of that bias, paired samples
estimators; drawn_validation_share ends; ; 1; share of the variance from validation trajectories
estimators; candidate_rollouts; candidate; 1; rollouts behind one of its estimates
sensitivity; sensitivity_growth; sensitivity_sample horizon; 1; growth of |dtheta/deta|
"""


@dataclass(frozen=True)
class Variable:
    """What a probe's variable is."""

    part: str  # of the probe that makes it, such as "spectra" or "terms"
    dims: tuple[str, ...]
    long_name: str  # its meaning
    units: str  # of its values; "1" where they have none


def _parsed(line: str) -> dict[str, Variable]:
    part, names, dims, units, text = line.split("; ")
    name, *beside = names.split()
    texts = {name: text}
    for kind in beside:
        texts |= {f"{name}_{end}": meaning + text for end, meaning in _BESIDE[kind].items()}
    axes = tuple(axis for word in dims.split() for axis in _AXES.get(word, word).split())
    return {key: Variable(part, axes, meaning, _UNITS[units]) for key, meaning in texts.items()}


SCHEMA: Mapping[str, Variable] = dict(
    entry for line in _TABLE.strip().splitlines() for entry in _parsed(line).items()
)
"""By name: all variables that a probe may have."""


def described(variables: Mapping[str, Any], **options: Any) -> xr.Dataset:
    """A dataset of these variables with the dimensions, meaning and units of the schema.

    Args:
        variables: values by name.
        options: coordinates and attributes of the dataset.

    Raises:
        KeyError: a variable that the schema does not have.
    """
    data = {}
    for name, values in variables.items():
        variable = SCHEMA[name]
        attributes = {"long_name": variable.long_name, "units": variable.units}
        data[name] = (variable.dims, values, attributes)
    return xr.Dataset(data, **options)
