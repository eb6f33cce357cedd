"""What the mechanism probe sampled, as labelled arrays with their intervals."""

import numpy as np

from hessdiag import spectra, variance
from hessdiag.meta import Terms
from hessdiag.train.mechanism_probe import Nested, relative_reach


def term_variables(
    made: Terms, *, confidence: float, resamples: int, rng: np.random.Generator
) -> spectra.Variables:
    """Cuts, terms and their alignment as labelled arrays."""
    contributions, mixed, outer = (
        np.asarray(part) for part in (made.contributions, made.mixed, made.outer)
    )
    meta_gradients = contributions.sum(axis=3)
    cut = variance.cut_growth(meta_gradients, confidence=confidence, resamples=resamples, rng=rng)
    together = variance.coherence(
        contributions[:, 0], confidence=confidence, resamples=resamples, rng=rng
    )
    bound = np.asarray(made.reach)[:, 0, :, :, None] * mixed[:, None]
    aligned = np.divide(
        contributions[:, 0], bound, out=np.full_like(bound, np.nan), where=bound > 0
    )
    per_cut, per_term = ("cut", "cut_horizon"), ("cut_horizon", "inner_step", "meta_parameter")
    units = "loss per unit of eta"
    variables: spectra.Variables = {
        "cut_meta_gradient": (
            ("sample", *per_cut, "meta_parameter"),
            meta_gradients,
            "i-step meta-gradient with paths cut",
            units,
        ),
        "contribution": (
            ("sample", *per_term),
            contributions[:, 0],
            "contribution of one inner update to the i-step meta-gradient (eq. 11)",
            units,
        ),
        "term_covariance": (
            ("cut_horizon", "inner_step", "other_step", "meta_parameter"),
            together.covariance,
            "covariance of the terms over samples",
            "squared loss per unit of eta",
        ),
        "term_alignment": (
            per_term,
            variance.mean_defined(aligned, axis=0),
            "cosine of what T reads of an inner gradient and what eta moves it by, sample mean",
            "1",
        ),
        "term_reach": (
            ("cut_horizon", "inner_step"),
            relative_reach(made).mean(axis=0),
            "norm of T times the derivative of theta in an inner gradient, over that of T",
            "1",
        ),
        "outer_norm": (("cut_horizon",), outer.mean(axis=0), "norm of T, sample mean", "1"),
        "mixed_norm": (
            ("inner_step", "meta_parameter"),
            mixed.mean(axis=0),
            "norm of the derivative of an inner gradient in eta, sample mean",
            "1",
        ),
        "left_out": (
            ("inner_step",),
            np.asarray(made.left_out).mean(axis=0),
            "eigenpairs that the stable Hessian leaves out, sample mean",
            "1",
        ),
    }
    for name, interval, dims, text in (
        ("cut_growth", cut.growth, per_cut, "growth of the standard deviation with paths cut"),
        ("cut_removed", cut.removed, per_cut, "share of the log-growth that a cut removes"),
        ("coherence", together.coherence, ("cut_horizon",), "coherence of the terms"),
    ):
        variables |= _with_ends(name, interval, dims, text)
    return variables


def nested_variables(
    nested: Nested, *, confidence: float, resamples: int, rng: np.random.Generator
) -> spectra.Variables:
    """Shares of the variance by source as labelled arrays."""
    shares = variance.nested_shares(*nested, confidence=confidence, resamples=resamples, rng=rng)
    made: spectra.Variables = {}
    for name, interval, dims, text in (
        ("validation_share", shares.validation, ("horizon",), "validation trajectories"),
        ("inner_share", shares.inner, ("horizon",), "inner trajectories"),
        ("step_share", shares.steps, ("horizon", "inner_step"), "one inner step's trajectories"),
    ):
        made |= _with_ends(name, interval, dims, f"share of the variance from {text}")
    return made


def _with_ends(name, interval: variance.Interval, dims, text: str) -> spectra.Variables:
    ends = (("", "value"), ("_low", "low"), ("_high", "high"))
    return {name + suffix: (dims, getattr(interval, end), text, "1") for suffix, end in ends}
