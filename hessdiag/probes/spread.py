"""K meta-gradients of every horizon at one training state, and how far they spread."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag.meta import all_horizons
from hessdiag.probes.chunks import Chunks, require_finite
from hessdiag.probes.measured import Measured
from hessdiag.probes.values import Values, with_ends
from hessdiag.statistics import Interval, Spread, bias_to, measure_spread, mixed


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
        """Meta-gradients (K, n, m) of K keys from a training state, as `Chunks.sample` draws them.

        Raises:
            NotFiniteError: a meta-gradient is NaN or infinite.
        """
        meta_gradients = self.chunks.sample(state, keys, progress=progress)
        require_finite(meta_gradients, "the meta-gradients")
        return meta_gradients


def spread_variables(
    measured: Measured, meta_gradients: np.ndarray, *, seed: Sequence[int]
) -> Values:
    """Spread of every estimator that is a weighted sum over horizons (eq. 7 for the bias)."""
    settings = measured.settings
    options = {"confidence": settings.confidence, "resamples": settings.resamples}
    estimates = [mixed(meta_gradients, [*weights]) for weights in measured.weights.values()]
    spreads = [measure_spread(e, rng=np.random.default_rng(seed), **options) for e in estimates]
    values: Values = {"meta_gradient": meta_gradients}
    for name in Spread._fields:
        ends = zip(*(getattr(spread, name) for spread in spreads), strict=True)
        values |= with_ends(name, Interval(*map(np.stack, ends)))
    biases = [bias_to(meta_gradients[:, -1], estimate) for estimate in estimates]
    values["bias"] = np.stack([bias.distance for bias in biases])
    values["bias_error"] = np.stack([bias.error for bias in biases])
    return values
