"""K meta-gradients of every horizon at one training state, and how far they spread."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag.meta import all_horizons
from hessdiag.probes.chunks import Chunks
from hessdiag.probes.measured import Measured
from hessdiag.probes.values import Values, with_ends
from hessdiag.statistics import Interval, Spread, bias_to, measure_spread, mixed


def meta_gradients_of(measured: Measured) -> Chunks:
    """What samples meta-gradients (n, m); one compiled program for all chunks and probes."""

    def sample(state: Any, key: PRNGKeyArray):
        return all_horizons(measured.system, measured.start(state, key), key, n=measured.n)

    return Chunks(sample, measured.settings.chunk, "the meta-gradients")


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
