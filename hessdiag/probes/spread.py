"""K meta-gradients of every horizon at one training state, and how far they spread."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag.meta import all_horizons
from hessdiag.probes.chunks import Chunks, require_finite
from hessdiag.probes.measured import Measured
from hessdiag.spectra import Variables
from hessdiag.statistics import bias_to, measure_spread, mixed

_PER_PARAMETER = ("estimator", "horizon", "meta_parameter")
_UNITS = "per unit of eta"


class SpreadProbe:
    """Samples meta-gradients; one compiled program for all chunks and probes.

    Attributes:
        chunks: the program, and how often a probe calls it.
    """

    def __init__(self, measured: Measured):
        def sample(state: Any, key: PRNGKeyArray):
            return all_horizons(measured.system, measured.start(state, key), key, n=measured.n)

        self.chunks = Chunks(sample, measured.settings.chunk)

    def sample(
        self, state: Any, keys: PRNGKeyArray, *, progress: Callable[[int], None]
    ) -> np.ndarray:
        """Meta-gradients (K, n, m), a chunk at a time.

        Args:
            state: the training state; every sample starts from it.
            keys: K keys, one per sample.
            progress: called with the number of samples done, after each chunk.

        Raises:
            NotFiniteError: a meta-gradient is NaN or infinite.
        """
        meta_gradients = self.chunks.sample(state, keys, progress=progress)
        require_finite(meta_gradients, "the meta-gradients")
        return meta_gradients


def spread_variables(
    measured: Measured, meta_gradients: np.ndarray, *, seed: Sequence[int]
) -> Variables:
    """Spread of every estimator that is a weighted sum over horizons, as labelled arrays."""
    settings = measured.settings
    estimates = [mixed(meta_gradients, [*weights]) for weights in measured.weights.values()]
    spreads = [
        measure_spread(
            estimate,
            confidence=settings.confidence,
            resamples=settings.resamples,
            rng=np.random.default_rng(seed),
        )
        for estimate in estimates
    ]
    variables: Variables = {
        "meta_gradient": (
            ("sample", "horizon", "meta_parameter"),
            meta_gradients,
            "i-step meta-gradient with respect to the unconstrained eta",
            _UNITS,
        )
    }
    for name, dims, text, unit in (
        ("mean", _PER_PARAMETER, "mean of the meta-gradient", _UNITS),
        ("std", _PER_PARAMETER, "standard deviation of the meta-gradient", _UNITS),
        ("ratio", _PER_PARAMETER, "standard deviation over that of the 1-step estimator", "1"),
        ("growth", _PER_PARAMETER[:2], "ratio averaged over meta-parameters", "1"),
    ):
        intervals = [getattr(spread, name) for spread in spreads]
        for suffix, end in (("", "value"), ("_low", "low"), ("_high", "high")):
            values = np.stack([getattr(interval, end) for interval in intervals])
            variables[name + suffix] = (dims, values, text, unit)
    return variables | _bias(meta_gradients, estimates)


def _bias(meta_gradients: np.ndarray, estimates: Sequence[np.ndarray]) -> Variables:
    """Against the longest horizon's n-step meta-gradient (eq. 7)."""
    biases = [bias_to(meta_gradients[:, -1], estimate) for estimate in estimates]
    variables: Variables = {}
    for name, field, text in (
        ("bias", "distance", "mean difference to the longest horizon's n-step meta-gradient"),
        ("bias_error", "error", "standard error of the bias, its Monte-Carlo floor"),
    ):
        values = np.stack([getattr(bias, field) for bias in biases])
        variables[name] = (_PER_PARAMETER, values, text, _UNITS)
    return variables
