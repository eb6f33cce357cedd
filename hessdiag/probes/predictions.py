"""What explanations predict for the growth at a probe, from what the probe measured."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

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
    predicted = predictions(_evidence(measured, spectra, of_terms), more)
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
