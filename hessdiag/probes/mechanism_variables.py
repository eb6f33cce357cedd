"""What the mechanism probe sampled, as variables of a probe with their intervals."""

from collections.abc import Sequence

import numpy as np

from hessdiag.meta import Terms
from hessdiag.probes.inner_loop import InnerLoopSpectra
from hessdiag.probes.measured import Measured
from hessdiag.probes.mechanism import Nested, Sampled, relative_reach
from hessdiag.probes.values import Values, with_ends
from hessdiag.statistics import coherence, cut_growth, mean_defined, nested_shares


def mechanism_variables(
    sampled: Sampled,
    spectra: Sequence[InnerLoopSpectra],
    horizons: Sequence[int],
    measured: Measured,
    *,
    seed: Sequence[int],
) -> Values:
    """Everything that a probe sampled of terms, cuts and sources.

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
    values: Values = {}
    if sampled.terms is not None:
        values |= term_variables(sampled.terms, **options)
        if horizons[-1] == measured.n:
            values |= alignment_variables(sampled.terms, [*measured.cuts], spectra)
    if sampled.nested is not None:
        values |= nested_variables(sampled.nested, **options)
    if sampled.sensitivities is not None:
        values |= sensitivity_variables(sampled.sensitivities)
    return values


def term_variables(
    terms: Terms, *, confidence: float, resamples: int, rng: np.random.Generator
) -> Values:
    """Cuts, terms and their alignment."""
    options = {"confidence": confidence, "resamples": resamples, "rng": rng}
    contributions = np.asarray(terms.contributions)[:, 0]
    meta_gradients = np.asarray(terms.meta_gradients)
    cut = cut_growth(meta_gradients, **options)
    together = coherence(contributions, **options)
    return {
        "cut_meta_gradient": meta_gradients,
        "contribution": contributions,
        "term_covariance": together.covariance,
        **with_ends("cut_growth", cut.growth),
        **with_ends("cut_removed", cut.removed),
        **with_ends("coherence", together.coherence),
        **_factors(terms, contributions),
    }


def _factors(terms: Terms, contributions: np.ndarray) -> Values:
    """What the size of a term is made of: sample means of norms and of the cosine."""
    mixed, reach = np.asarray(terms.mixed), np.asarray(terms.reach)
    bound = reach[:, 0, :, :, None] * mixed[:, None]
    cosine = np.divide(contributions, bound, out=np.full_like(bound, np.nan), where=bound > 0)
    return {
        "term_alignment": mean_defined(cosine, axis=0),
        "term_reach": relative_reach(terms).mean(axis=0),
        "outer_norm": np.asarray(terms.outer).mean(axis=0),
        "mixed_norm": mixed.mean(axis=0),
        "left_out": np.asarray(terms.left_out).mean(axis=0),
    }


def alignment_variables(
    terms: Terms, cuts: Sequence[str], spectra: Sequence[InnerLoopSpectra]
) -> Values:
    """How much of the most that its factors allow each term is, on the unrolls with spectra.

    On the augmented state a term is T G ∂g/∂η with G the derivative of the last θ in the gradient
    g of that inner step, and at most |T| |G| |∂g/∂η|. Under gradient descent G is −α P_i, N_i is
    −α ∂g/∂η, and that is T P_i N_i over |T| |P_i| |N_i|, eq. 11 as printed.

    Args:
        terms: of all samples, at horizons up to the n of `spectra`; the first samples are its
            unrolls.
        cuts: names of their cuts.
        spectra: with products and paths or without.
    """
    values: Values = {}
    paths = [loop.paths for loop in spectra if loop.paths]
    if paths:
        norms = np.array([[path.value for path in row] for row in paths])
        mixed = np.asarray(terms.mixed)[: len(paths)]
        values["path_alignment"] = _alignment(terms, 0, norms, mixed)
    products = [loop.products["paper"] for loop in spectra if "paper" in loop.products]
    if products and "as-sgd" in cuts:
        norms = np.array([[1.0 + product.norm.minus_one for product in row] for row in products])
        rates = np.array([step.alpha for step in spectra[0].hessians])
        values |= _as_printed(terms, list(cuts).index("as-sgd"), norms, rates)
    return values


def _as_printed(terms: Terms, cut: int, norms: np.ndarray, rates: np.ndarray) -> Values:
    """Of plain gradient descent: the terms of the cut "as-sgd" at the longest horizon.

    Where clipping is active it is in the terms, and not in their factors: eq. 11 has none.
    """
    norms = norms[:, ::-1]  # P_n belongs to inner step 0
    mixed = rates[:, None] * np.asarray(terms.mixed)[: len(norms)]
    return {
        "eq11_alignment": _alignment(terms, cut, norms, mixed),
        "eq11_mixed_norm": mixed,
        "eq11_outer_norm": np.asarray(terms.outer)[: len(norms), -1],
        "eq11_product_norm": norms,
    }


def _alignment(terms: Terms, cut: int, carried: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    """(U, n, m): terms at the longest horizon over the product of the norms of their factors."""
    unrolls = len(carried)
    of_cut = np.asarray(terms.contributions)[:unrolls, cut, -1]
    outer = np.asarray(terms.outer)[:unrolls, -1]
    bound = outer[:, None, None] * carried[..., None] * mixed
    return np.divide(of_cut, bound, out=np.full(bound.shape, np.nan), where=bound > 0)


def nested_variables(
    nested: Nested, *, confidence: float, resamples: int, rng: np.random.Generator
) -> Values:
    """Shares of the variance by source."""
    shares = nested_shares(*nested, confidence=confidence, resamples=resamples, rng=rng)
    return {
        **with_ends("validation_share", shares.validation),
        **with_ends("inner_share", shares.inner),
        **with_ends("step_share", shares.steps),
        **with_ends("nested_std", shares.std),
    }


def sensitivity_variables(norms: np.ndarray) -> Values:
    """Growth of |∂θ^(i)/∂η| with the horizon, sample by sample."""
    base = norms[:, :1]
    ratio = np.where(base > 0, norms / np.where(base > 0, base, 1.0), np.nan)
    return {"sensitivity_growth": mean_defined(ratio, axis=-1)}
