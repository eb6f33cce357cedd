"""What the mechanism probe sampled, as labelled arrays with their intervals."""

from collections.abc import Sequence

import numpy as np

from hessdiag.meta import Terms
from hessdiag.probes.inner_loop import InnerLoopSpectra, PathNorm, ProductNorm
from hessdiag.probes.measured import Measured
from hessdiag.probes.mechanism import Nested, Sampled, relative_reach
from hessdiag.spectra import Variables
from hessdiag.statistics import Interval, coherence, cut_growth, mean_defined, nested_shares

_UNITS = "loss per unit of eta"
_CUT = ("cut", "cut_horizon")
_TERM = ("cut_horizon", "inner_step", "meta_parameter")
_PER_TERM = ("operator_unroll", "inner_step", "meta_parameter")


def mechanism_variables(
    sampled: Sampled,
    spectra: Sequence[InnerLoopSpectra],
    horizons: Sequence[int],
    measured: Measured,
    *,
    seed: Sequence[int],
) -> Variables:
    """Everything that a probe sampled of terms, cuts and sources, as labelled arrays.

    Args:
        sampled: the samples.
        spectra: measured on the unrolls of the first of them.
        horizons: where terms and cuts were measured.
        measured: what is probed.
        seed: of the bootstrap.
    """
    settings = measured.settings
    rng = np.random.default_rng(seed)
    options = {"confidence": settings.confidence, "resamples": settings.resamples, "rng": rng}
    variables: Variables = {}
    if sampled.terms is not None:
        variables |= term_variables(sampled.terms, **options)
        if horizons[-1] == measured.n:
            variables |= alignment_variables(sampled.terms, [*measured.cuts], spectra)
    if sampled.nested is not None:
        variables |= nested_variables(sampled.nested, **options)
    if sampled.sensitivities is not None:
        variables |= sensitivity_variables(sampled.sensitivities)
    return variables


def term_variables(
    made: Terms, *, confidence: float, resamples: int, rng: np.random.Generator
) -> Variables:
    """Cuts, terms and their alignment as labelled arrays."""
    contributions = np.asarray(made.contributions)
    meta_gradients = np.asarray(made.meta_gradients)
    cut = cut_growth(meta_gradients, confidence=confidence, resamples=resamples, rng=rng)
    together = coherence(contributions[:, 0], confidence=confidence, resamples=resamples, rng=rng)
    variables: Variables = {
        "cut_meta_gradient": (
            ("sample", *_CUT, "meta_parameter"),
            meta_gradients,
            "i-step meta-gradient with paths cut",
            _UNITS,
        ),
        "contribution": (
            ("sample", *_TERM),
            contributions[:, 0],
            "contribution of one inner update to the i-step meta-gradient (eq. 11)",
            _UNITS,
        ),
        "term_covariance": (
            ("cut_horizon", "inner_step", "other_step", "meta_parameter"),
            together.covariance,
            "covariance of the terms over samples",
            f"({_UNITS})^2",
        ),
    }
    for name, interval, dims, text in (
        ("cut_growth", cut.growth, _CUT, "growth of the standard deviation with paths cut"),
        ("cut_removed", cut.removed, _CUT, "share of the log-growth that a cut removes"),
        ("coherence", together.coherence, ("cut_horizon",), "coherence of the terms"),
    ):
        variables |= _with_ends(name, interval, dims, text)
    return variables | _factors(made, contributions[:, 0])


def _factors(made: Terms, contributions: np.ndarray) -> Variables:
    """What the size of a term is made of: sample means of norms and of the cosine."""
    mixed, reach = np.asarray(made.mixed), np.asarray(made.reach)
    bound = reach[:, 0, :, :, None] * mixed[:, None]
    aligned = np.divide(contributions, bound, out=np.full_like(bound, np.nan), where=bound > 0)
    factors = (
        (
            "term_alignment",
            _TERM,
            mean_defined(aligned, axis=0),
            "cosine of what T reads of an inner gradient and what eta moves it by",
        ),
        (
            "term_reach",
            _TERM[:2],
            relative_reach(made).mean(axis=0),
            "norm of T times the derivative of theta in an inner gradient, over that of T",
        ),
        ("outer_norm", _TERM[:1], np.asarray(made.outer).mean(axis=0), "norm of T"),
        (
            "mixed_norm",
            _TERM[1:],
            mixed.mean(axis=0),
            "norm of the derivative of an inner gradient in eta",
        ),
        (
            "left_out",
            ("inner_step",),
            np.asarray(made.left_out).mean(axis=0),
            "eigenpairs that the stable Hessian leaves out",
        ),
    )
    return {
        name: (dims, values, f"{text}, sample mean", "1") for name, dims, values, text in factors
    }


def alignment_variables(
    made: Terms, cuts: Sequence[str], measured: Sequence[InnerLoopSpectra]
) -> Variables:
    """How much of the most that its factors allow each term is, on the unrolls with spectra.

    On the augmented state a term is T G ∂g/∂η with G the derivative of the last θ in the gradient
    g of that inner step, and at most |T| |G| |∂g/∂η|. Under gradient descent G is −α P_i, N_i is
    −α ∂g/∂η, and that is T P_i N_i over |T| |P_i| |N_i|, eq. 11 as printed.

    Args:
        made: terms of all samples, at horizons up to the n of `measured`; the first samples are
            its unrolls.
        cuts: names of their paths.
        measured: spectra, with products and paths or without.
    """
    variables = _of_paths(made, [loop.paths for loop in measured if loop.paths])
    products = [loop.products["paper"] for loop in measured if "paper" in loop.products]
    if products and "as-sgd" in cuts:
        rates = np.array([step.alpha for step in measured[0].hessians])
        variables |= _as_printed(made, list(cuts).index("as-sgd"), products, rates)
    return variables


def _of_paths(made: Terms, paths: Sequence[Sequence[PathNorm]]) -> Variables:
    if not paths:
        return {}
    norms = np.array([[path.value for path in row] for row in paths])
    mixed = np.asarray(made.mixed)[: len(paths)]
    aligned = _alignment(made, 0, norms, mixed)
    text = "T G dg/deta over |T| |G| |dg/deta|, G the derivative of theta^(n) in g"
    return {"path_alignment": (_PER_TERM, aligned, text, "1")}


def _as_printed(
    made: Terms, cut: int, products: Sequence[Sequence[ProductNorm]], rates: np.ndarray
) -> Variables:
    """Of plain gradient descent: the terms of the cut "as-sgd" at the longest horizon.

    Where clipping is active it is in the terms, and not in their factors: eq. 11 has none.
    """
    unrolls = len(products)
    norms = np.array([[1.0 + product.norm.minus_one for product in row] for row in products])
    norms = norms[:, ::-1]  # P_n belongs to inner step 0
    mixed = rates[:, None] * np.asarray(made.mixed)[:unrolls]
    outer = np.asarray(made.outer)[:unrolls, -1]
    aligned = _alignment(made, cut, norms, mixed)
    last = f"norm of T after {len(rates)} updates"
    return {
        "eq11_alignment": (_PER_TERM, aligned, "T P_i N_i over |T| |P_i| |N_i|", "1"),
        "eq11_mixed_norm": (_PER_TERM, mixed, "norm of N_i", "1"),
        "eq11_outer_norm": (_PER_TERM[:1], outer, last, "1"),
        "eq11_product_norm": (_PER_TERM[:2], norms, "norm of P_i", "1"),
    }


def _alignment(made: Terms, cut: int, carried: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    """(U, n, m): terms at the longest horizon over the product of the norms of their factors."""
    unrolls = len(carried)
    of_cut = np.asarray(made.contributions)[:unrolls, cut, -1]
    outer = np.asarray(made.outer)[:unrolls, -1]
    bound = outer[:, None, None] * carried[..., None] * mixed
    return np.divide(of_cut, bound, out=np.full(bound.shape, np.nan), where=bound > 0)


def nested_variables(
    nested: Nested, *, confidence: float, resamples: int, rng: np.random.Generator
) -> Variables:
    """Shares of the variance by source as labelled arrays."""
    shares = nested_shares(*nested, confidence=confidence, resamples=resamples, rng=rng)
    made: Variables = {}
    for name, interval, dims, text in (
        ("validation_share", shares.validation, ("horizon",), "validation trajectories"),
        ("inner_share", shares.inner, ("horizon",), "inner trajectories"),
        ("step_share", shares.steps, ("horizon", "inner_step"), "one inner step's trajectories"),
    ):
        made |= _with_ends(name, interval, dims, f"share of the variance from {text}")
    text = "standard deviation, from the sum of the shares' parts"
    both = ("horizon", "meta_parameter")
    return made | _with_ends("nested_std", shares.std, both, text, _UNITS)


def sensitivity_variables(norms: np.ndarray) -> Variables:
    """Growth of |∂θ^(i)/∂η| with the horizon, sample by sample."""
    base = norms[:, :1]
    ratio = np.where(base > 0, norms / np.where(base > 0, base, 1.0), np.nan)
    growth = mean_defined(ratio, axis=-1)
    text = "norm of the derivative of theta in eta over that after one step, mean over eta"
    return {"sensitivity_growth": (("sensitivity_sample", "horizon"), growth, text, "1")}


def _with_ends(name: str, interval: Interval, dims, text: str, units: str = "1") -> Variables:
    ends = (("", "value"), ("_low", "low"), ("_high", "high"))
    return {name + suffix: (dims, getattr(interval, end), text, units) for suffix, end in ends}
