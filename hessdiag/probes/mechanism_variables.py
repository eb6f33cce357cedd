"""What the mechanism probe sampled, as variables of a probe with their intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

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
        values |= _of_terms(sampled.terms, options)
        if horizons[-1] == measured.n:
            values |= _alignments(sampled.terms, [*measured.cuts], spectra)
    if sampled.nested is not None:
        values |= _shares(sampled.nested, options)
    if sampled.sensitivities is not None:
        values["sensitivity_growth"] = _growth(sampled.sensitivities)
    return values


def _of_terms(terms: Any, options: dict[str, Any]) -> Values:
    """Cuts, terms and their alignment; the sizes of a term's factors are sample means."""
    contributions = terms.contributions[:, 0]
    cut = cut_growth(terms.meta_gradients, **options)
    together = coherence(contributions, **options)
    bound = terms.reach[:, 0, :, :, None] * terms.mixed[:, None]
    return {
        "cut_meta_gradient": terms.meta_gradients,
        "contribution": contributions,
        "term_covariance": together.covariance,
        **with_ends("cut_growth", cut.growth),
        **with_ends("cut_removed", cut.removed),
        **with_ends("coherence", together.coherence),
        "term_alignment": mean_defined(_quotient(contributions, bound), axis=0),
        "term_reach": relative_reach(terms).mean(axis=0),
        "outer_norm": terms.outer.mean(axis=0),
        "mixed_norm": terms.mixed.mean(axis=0),
        "left_out": terms.left_out.mean(axis=0),
    }


def _alignments(terms: Any, cuts: Sequence[str], spectra: Sequence[InnerLoopSpectra]) -> Values:
    """How much of the most that its factors allow each term is, on the unrolls with spectra.

    On the augmented state a term is T G ∂g/∂η with G the derivative of the last θ in the gradient
    g of that inner step, and at most |T| |G| |∂g/∂η|. Under gradient descent, the cut "as-sgd", G
    is −α P_i, N_i is −α ∂g/∂η, and that is T P_i N_i over |T| |P_i| |N_i|, eq. 11 as printed;
    where clipping is active it is in the terms, and not in their factors: eq. 11 has none.
    """
    values: Values = {}
    paths = [loop.paths for loop in spectra if loop.paths]
    if paths:
        norms = np.array([[path.value for path in row] for row in paths])
        values["path_alignment"] = _alignment(terms, 0, norms, terms.mixed[: len(paths)])
    products = [loop.products["paper"] for loop in spectra if "paper" in loop.products]
    if products and "as-sgd" in cuts:
        norms = np.array([[1.0 + product.norm.minus_one for product in row] for row in products])
        norms = norms[:, ::-1]  # P_n belongs to inner step 0
        rates = np.array([step.alpha for step in spectra[0].hessians])
        mixed = rates[:, None] * terms.mixed[: len(norms)]
        values |= {
            "eq11_alignment": _alignment(terms, cuts.index("as-sgd"), norms, mixed),
            "eq11_mixed_norm": mixed,
            "eq11_outer_norm": terms.outer[: len(norms), -1],
            "eq11_product_norm": norms,
        }
    return values


def _alignment(terms: Any, cut: int, carried: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    """(U, n, m): terms at the longest horizon over the product of the norms of their factors."""
    unrolls = len(carried)
    bound = terms.outer[:unrolls, -1, None, None] * carried[..., None] * mixed
    return _quotient(terms.contributions[:unrolls, cut, -1], bound)


def _quotient(part: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """A part of what bounds it, NaN where the bound is zero."""
    return np.divide(part, bound, out=np.full_like(bound, np.nan), where=bound > 0)


def _shares(nested: Nested, options: dict[str, Any]) -> Values:
    """Shares of the variance by source."""
    shares = nested_shares(*nested, **options)
    return {
        **with_ends("validation_share", shares.validation),
        **with_ends("inner_share", shares.inner),
        **with_ends("step_share", shares.steps),
        **with_ends("nested_std", shares.std),
    }


def _growth(norms: np.ndarray) -> np.ndarray:
    """Growth of |∂θ^(i)/∂η| with the horizon, sample by sample."""
    base = norms[:, :1]
    ratio = np.where(base > 0, norms / np.where(base > 0, base, 1.0), np.nan)
    return mean_defined(ratio, axis=-1)
