"""K meta-gradients of every horizon at one training state, and what their spread says."""

from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag import spectra, variance
from hessdiag.errors import NotFiniteError
from hessdiag.meta import ESTIMATORS, FIRST_MOMENT_DECAY, InnerUpdate, all_horizons, mix_weights
from hessdiag.train.learner import TrainState
from hessdiag.train.settings import Settings, measured_horizon


class VarianceProbe:
    """Samples meta-gradients; one compiled program for all chunks and probes.

    Attributes:
        program: a state and a chunk's keys to the meta-gradients of all horizons.
    """

    def __init__(self, update: InnerUpdate, settings: Settings):
        self._settings = settings

        def sample(state: TrainState, key: PRNGKeyArray):
            at = (state.inner, state.eta, state.env_state, key)
            return all_horizons(update, *at, n=measured_horizon(settings))

        one_at_a_time = settings.probe.chunk == 1
        self.program = jax.jit(sample if one_at_a_time else jax.vmap(sample, in_axes=(None, 0)))

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
        num, size = len(keys), self._settings.probe.chunk
        sampled: list[np.ndarray] = []
        for start in range(0, num, size):
            at = np.arange(start, start + size) % num  # the last chunk is filled up
            made = np.asarray(self.program(state, keys[start] if size == 1 else keys[at]))
            sampled.extend(made[None] if size == 1 else made[: num - start])
            progress(len(sampled))
        meta_gradients = np.stack(sampled)
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
        "mix": variance.mixed(meta_gradients, weights),
    }
    spreads = [
        variance.measure_spread(
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
    biases = [variance.bias_to(meta_gradients[:, -1], estimates[kind]) for kind in ESTIMATORS]
    for name, field, text in (
        ("bias", "distance", "mean difference to the longest horizon's n-step meta-gradient"),
        ("bias_error", "error", "standard error of the bias, its Monte-Carlo floor"),
    ):
        values = np.stack([getattr(bias, field) for bias in biases])
        variables[name] = (per_parameter, values, text, units)
    return variables


def prediction_variables(
    settings: Settings,
    measured: Sequence[spectra.InnerLoopSpectra],
    of_terms: Mapping[str, np.ndarray],
) -> tuple[list[str], spectra.Variables]:
    """Labels of the explanations, and what each predicts for the growth.

    Args:
        settings: of the run.
        measured: spectra.
        of_terms: fields of the evidence that terms were measured for.
    """
    shifted = [[step.shifted for step in loop.hessians if step.shifted] for loop in measured]
    optimiser = settings.learning.optimiser
    evidence = variance.Evidence(
        radius_minus_one=np.array([[s.spectral_radius_minus_one for s in row] for row in shifted]),
        radius_error=np.array(
            [[s.spectral_radius_minus_one_error for s in row] for row in shifted]
        ),
        optimiser=optimiser,
        memory=FIRST_MOMENT_DECAY.get(optimiser),
        product_norms=_product_norms(measured),
        **of_terms,
    )
    made = variance.predictions(evidence)
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
        grown = variance.mixed_growth(values, weights, coherent=coherent)
        variables[name] = (dims, grown, text_of_mix, "1")
    return list(made), variables


def _product_norms(measured: Sequence[spectra.InnerLoopSpectra]) -> dict[str, np.ndarray]:
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
