"""What a probe measured and sampled, as its variables; the schema says what each is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from hessdiag import statistics
from hessdiag.probes.explanations import Evidence, Explanation, Radii, predictions
from hessdiag.probes.inner_loop import InnerLoopSpectra
from hessdiag.probes.measured import Measured
from hessdiag.probes.mechanism import Sampled, relative_reach
from hessdiag.statistics import Interval

Values = dict[str, Any]


def _with_ends(name: str, interval: Interval) -> Values:
    """A variable and both ends of its interval."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def spread_variables(
    measured: Measured, meta_gradients: np.ndarray, *, seed: Sequence[int]
) -> Values:
    """Spread of every estimator that is a weighted sum over horizons (eq. 7 for the bias)."""
    settings = measured.settings
    options = {"confidence": settings.confidence, "resamples": settings.resamples}
    estimates = [statistics.mixed(meta_gradients, [*w]) for w in measured.weights.values()]
    spreads = [
        statistics.measure_spread(estimate, rng=np.random.default_rng(seed), **options)
        for estimate in estimates
    ]
    values: Values = {"meta_gradient": meta_gradients}
    for name in statistics.Spread._fields:
        ends = zip(*(getattr(spread, name) for spread in spreads), strict=True)
        values |= _with_ends(name, Interval(*map(np.stack, ends)))
    biases = [statistics.bias_to(meta_gradients[:, -1], estimate) for estimate in estimates]
    values["bias"] = np.stack([bias.distance for bias in biases])
    values["bias_error"] = np.stack([bias.error for bias in biases])
    return values


def prediction_variables(
    measured: Measured,
    spectra: Sequence[InnerLoopSpectra],
    of_terms: Mapping[str, np.ndarray],
    more: Mapping[str, Explanation] | None = None,
) -> tuple[list[str], Values]:
    """Labels of the explanations, and what each predicts for the growth.

    Args:
        measured: what is probed.
        spectra: of some unrolls.
        of_terms: fields of the evidence that terms were measured for.
        more: explanations beside the built-in ones, by label.

    Raises:
        UsageError: one of those fails.
    """
    predicted = predictions(_evidence(measured, spectra, of_terms), more)
    ends = zip(*predicted.values(), strict=True)
    values = _with_ends("prediction", Interval(*map(np.stack, ends)))
    for name, coherent in (("mix_prediction", False), ("mix_prediction_coherent", True)):
        values[name] = statistics.mixed_growth(
            values["prediction"], [*measured.mixing], coherent=coherent
        )
    return list(predicted), values


def _evidence(
    measured: Measured, spectra: Sequence[InnerLoopSpectra], of_terms: Mapping[str, np.ndarray]
) -> Evidence:
    shifted = [[step.shifted for step in loop.hessians if step.shifted] for loop in spectra]
    return Evidence(
        radius_minus_one=_array("spectral_radius_minus_one", shifted),
        radius_error=_array("spectral_radius_minus_one_error", shifted),
        memory=measured.memory,
        operator_radii={
            name: _radii(rows) for name, rows in _by_name(loop.operators for loop in spectra)
        },
        product_norms={
            name: 1.0 + _array("norm.minus_one", rows)
            for name, rows in _by_name(loop.products for loop in spectra)
        },
        **of_terms,
    )


def _radii(rows: list) -> Radii:
    converged = _array("ritz.converged", rows)
    minus_one = np.where(converged, _array("radius.minus_one", rows), np.nan)
    return Radii(minus_one, _array("radius.estimate", rows))


def _by_name(loops: Iterable[Mapping[str, list]]) -> Iterator[tuple[str, list]]:
    """Each operator with its results, by unroll and step, on the unrolls that have it."""
    loops = list(loops)
    for name in dict.fromkeys(name for loop in loops for name in loop):
        yield name, [loop[name] for loop in loops if name in loop]


def _array(path: str, rows: Sequence[Sequence]) -> np.ndarray:
    """An attribute of all results, (unrolls, steps)."""
    return np.array([[*map(attrgetter(path), row)] for row in rows])


def mechanism_variables(
    sampled: Sampled,
    spectra: Sequence[InnerLoopSpectra],
    horizons: Sequence[int],
    measured: Measured,
    *,
    seed: Sequence[int],
) -> Values:
    """Everything that a probe sampled of terms and cuts at horizons, and of sources.

    The spectra were measured on the unrolls of the first samples; the seed is the bootstrap's.
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
        shares = statistics.nested_shares(*sampled.nested, **options)
        values |= _with_ends("validation_share", shares.validation)
        values |= _with_ends("inner_share", shares.inner)
        values |= _with_ends("step_share", shares.steps)
        values |= _with_ends("nested_std", shares.std)
    if sampled.sensitivities is not None:
        norms, base = sampled.sensitivities, sampled.sensitivities[:, :1]
        growth = np.where(base > 0, norms / np.where(base > 0, base, 1.0), np.nan)
        values["sensitivity_growth"] = statistics.mean_defined(growth, axis=-1)
    return values


def _of_terms(terms: Any, options: dict[str, Any]) -> Values:
    """Cuts, terms and their alignment; the sizes of a term's factors are sample means."""
    contributions = terms.contributions[:, 0]
    cut = statistics.cut_growth(terms.meta_gradients, **options)
    together = statistics.coherence(contributions, **options)
    bound = terms.reach[:, 0, :, :, None] * terms.mixed[:, None]
    return {
        "cut_meta_gradient": terms.meta_gradients,
        "contribution": contributions,
        "term_covariance": together.covariance,
        **_with_ends("cut_growth", cut.growth),
        **_with_ends("cut_removed", cut.removed),
        **_with_ends("coherence", together.coherence),
        "term_alignment": statistics.mean_defined(_quotient(contributions, bound), axis=0),
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
