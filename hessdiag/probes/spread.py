"""K meta-gradients of every horizon at one training state, and what their spread says."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag import spectra
from hessdiag.errors import NotFiniteError
from hessdiag.inner import InnerUpdate, constants_of
from hessdiag.meta import ESTIMATORS, all_horizons, mix_weights
from hessdiag.probes.chunks import Chunks
from hessdiag.probes.explanations import Evidence, Explanation, Radii, predictions
from hessdiag.probes.inner_loop import InnerLoopSpectra
from hessdiag.statistics import bias_to, measure_spread, mixed, mixed_growth
from hessdiag.train.learner import TrainState
from hessdiag.train.settings import Settings, constants, measured_horizon


class VarianceProbe:
    """Samples meta-gradients; one compiled program for all chunks and probes.

    Attributes:
        program: a state and a chunk's keys to the meta-gradients of all horizons.
    """

    def __init__(self, update: InnerUpdate, settings: Settings):
        n = measured_horizon(settings)

        def sample(state: TrainState, key: PRNGKeyArray):
            return all_horizons(update, state.start, key, n=n)

        self._chunks = Chunks(sample, settings.probe.chunk)
        self.program = self._chunks.program

    def sample(
        self, state: TrainState, keys: PRNGKeyArray, *, progress: Callable[[int], None]
    ) -> np.ndarray:
        """Meta-gradients (K, n, m), a chunk at a time.

        Args:
            state: the training state; every sample starts from it.
            keys: K keys, one per sample.
            progress: called with the number of samples done, after each chunk.

        Raises:
            NotFiniteError: a meta-gradient is NaN or infinite.
        """
        meta_gradients = self._chunks.sample(state, keys, progress=progress)
        if not np.isfinite(meta_gradients).all():
            raise NotFiniteError("NaN or infinity in the meta-gradients of a probe")
        return meta_gradients


def variance_variables(
    settings: Settings, meta_gradients: np.ndarray, *, seed: Sequence[int]
) -> spectra.Variables:
    """Spread of both estimators as labelled arrays."""
    n = measured_horizon(settings)
    weights = [mix_weights(i, settings.kappa) for i in range(1, n + 1)]
    estimates = {
        "n-step": meta_gradients,
        "mix": mixed(meta_gradients, weights),
    }
    spreads = [
        measure_spread(
            estimates[kind],
            confidence=settings.probe.confidence,
            resamples=settings.probe.resamples,
            rng=np.random.default_rng(seed),
        )
        for kind in ESTIMATORS
    ]
    per_parameter = ("estimator", "horizon", "meta_parameter")
    units = "per unit of eta"
    variables: spectra.Variables = {
        "meta_gradient": (
            ("sample", "horizon", "meta_parameter"),
            meta_gradients,
            "i-step meta-gradient with respect to the unconstrained eta",
            units,
        )
    }
    for name, dims, text, unit in (
        ("mean", per_parameter, "mean of the meta-gradient", units),
        ("std", per_parameter, "standard deviation of the meta-gradient", units),
        ("ratio", per_parameter, "standard deviation over that of the 1-step estimator", "1"),
        ("growth", per_parameter[:2], "ratio averaged over meta-parameters", "1"),
    ):
        intervals = [getattr(spread, name) for spread in spreads]
        for suffix, end in (("", "value"), ("_low", "low"), ("_high", "high")):
            values = np.stack([getattr(interval, end) for interval in intervals])
            variables[name + suffix] = (dims, values, text, unit)
    biases = [bias_to(meta_gradients[:, -1], estimates[kind]) for kind in ESTIMATORS]
    for name, field, text in (
        ("bias", "distance", "mean difference to the longest horizon's n-step meta-gradient"),
        ("bias_error", "error", "standard error of the bias, its Monte-Carlo floor"),
    ):
        values = np.stack([getattr(bias, field) for bias in biases])
        variables[name] = (per_parameter, values, text, units)
    return variables


def prediction_variables(
    settings: Settings,
    measured: Sequence[InnerLoopSpectra],
    of_terms: Mapping[str, np.ndarray],
    own: Mapping[str, Explanation] | None = None,
) -> tuple[list[str], spectra.Variables]:
    """Labels of the explanations, and what each predicts for the growth.

    Args:
        settings: of the run.
        measured: spectra.
        of_terms: fields of the evidence that terms were measured for.
        own: explanations beside the built-in ones, by label.

    Raises:
        UsageError: one of those fails.
    """
    learning = settings.learning
    shifted = [[step.shifted for step in loop.hessians if step.shifted] for loop in measured]
    evidence = Evidence(
        radius_minus_one=np.array([[s.spectral_radius_minus_one for s in row] for row in shifted]),
        radius_error=np.array(
            [[s.spectral_radius_minus_one_error for s in row] for row in shifted]
        ),
        memory=constants_of(learning.optimiser, **constants(learning)).get("b1"),
        operator_radii=_operator_radii(measured),
        product_norms=_product_norms(measured),
        **of_terms,
    )
    made = predictions(evidence, own)
    dims = ("explanation", "horizon")
    text = "predicted growth of the standard deviation"
    variables: spectra.Variables = {
        "prediction" + suffix: (
            dims,
            np.stack([getattr(prediction, end) for prediction in made.values()]),
            text,
            "1",
        )
        for suffix, end in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    weights = [mix_weights(i, settings.kappa) for i in range(1, evidence.n + 1)]
    for name, coherent in (("mix_prediction", False), ("mix_prediction_coherent", True)):
        values = np.stack([prediction.value for prediction in made.values()])
        how = "varying as one" if coherent else "varying independently"
        text_of_mix = f"predicted growth of the mix, the horizons that it averages {how}"
        grown = mixed_growth(values, weights, coherent=coherent)
        variables[name] = (dims, grown, text_of_mix, "1")
    return list(made), variables


def _operator_radii(measured: Sequence[InnerLoopSpectra]) -> dict[str, Radii]:
    """Spectral radii of the operators that are not symmetric, on the unrolls that have them."""
    names = list(dict.fromkeys(name for loop in measured for name in loop.operators))
    radii = {}
    for name in names:
        rows = [loop.operators[name] for loop in measured if name in loop.operators]
        converged = np.array([[step.ritz.converged for step in row] for row in rows])
        minus_one = np.array([[step.radius.minus_one for step in row] for row in rows])
        error = np.array([[step.radius.estimate for step in row] for row in rows])
        radii[name] = Radii(np.where(converged, minus_one, np.nan), error)
    return radii


def _product_norms(measured: Sequence[InnerLoopSpectra]) -> dict[str, np.ndarray]:
    """(U, n) norms of the products, by operator, on the unrolls that have them."""
    names = list(dict.fromkeys(name for loop in measured for name in loop.products))
    return {
        name: np.array(
            [
                [1.0 + product.norm.minus_one for product in loop.products[name]]
                for loop in measured
                if name in loop.products
            ]
        )
        for name in names
    }
