"""What explanations predict for the growth at a probe, from what the probe measured."""

from collections.abc import Mapping, Sequence

import numpy as np

from hessdiag.probes.explanations import Evidence, Explanation, Radii, predictions
from hessdiag.probes.inner_loop import InnerLoopSpectra
from hessdiag.probes.measured import Measured
from hessdiag.probes.values import Values, with_ends
from hessdiag.statistics import Interval, mixed_growth


def prediction_variables(
    measured: Measured,
    spectra: Sequence[InnerLoopSpectra],
    of_terms: Mapping[str, np.ndarray],
    more: Mapping[str, Explanation] | None = None,
) -> tuple[list[str], Values]:
    """Labels of the explanations, and what each predicts for the growth.

    Args:
        measured: what is probed.
        spectra: measured on some unrolls.
        of_terms: fields of the evidence that terms were measured for.
        more: explanations beside the built-in ones, by label.

    Raises:
        UsageError: one of those fails.
    """
    evidence = _evidence(measured, spectra, of_terms)
    predicted = predictions(evidence, more)
    ends = zip(*predicted.values(), strict=True)
    values = with_ends("prediction", Interval(*map(np.stack, ends)))
    for name, coherent in (("mix_prediction", False), ("mix_prediction_coherent", True)):
        values[name] = mixed_growth(values["prediction"], [*measured.mixing], coherent=coherent)
    return list(predicted), values


def _evidence(
    measured: Measured, spectra: Sequence[InnerLoopSpectra], of_terms: Mapping[str, np.ndarray]
) -> Evidence:
    shifted = [[step.shifted for step in loop.hessians if step.shifted] for loop in spectra]
    return Evidence(
        radius_minus_one=np.array([[s.spectral_radius_minus_one for s in row] for row in shifted]),
        radius_error=np.array(
            [[s.spectral_radius_minus_one_error for s in row] for row in shifted]
        ),
        memory=measured.memory,
        operator_radii=_operator_radii(spectra),
        product_norms=_product_norms(spectra),
        **of_terms,
    )


def _operator_radii(spectra: Sequence[InnerLoopSpectra]) -> dict[str, Radii]:
    """Spectral radii of the operators that are not symmetric, on the unrolls that have them."""
    names = list(dict.fromkeys(name for loop in spectra for name in loop.operators))
    radii = {}
    for name in names:
        rows = [loop.operators[name] for loop in spectra if name in loop.operators]
        converged = np.array([[step.ritz.converged for step in row] for row in rows])
        minus_one = np.array([[step.radius.minus_one for step in row] for row in rows])
        error = np.array([[step.radius.estimate for step in row] for row in rows])
        radii[name] = Radii(np.where(converged, minus_one, np.nan), error)
    return radii


def _product_norms(spectra: Sequence[InnerLoopSpectra]) -> dict[str, np.ndarray]:
    """(U, n) norms of the products, by operator, on the unrolls that have them."""
    names = list(dict.fromkeys(name for loop in spectra for name in loop.products))
    return {
        name: np.array(
            [
                [1.0 + product.norm.minus_one for product in loop.products[name]]
                for loop in spectra
                if name in loop.products
            ]
        )
        for name in names
    }
