"""How far estimates are from exact meta-gradients: bias, spread and correlation along a sweep."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

DRAWS = 400  # of the bootstrap
_SEED = 0  # of its random numbers: a page made again is the same


class Estimate(NamedTuple):
    """A quantity with its bootstrap draws."""

    value: float
    draws: np.ndarray  # (D,)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Percentiles of the draws."""
        tails = (1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0
        low, high = np.quantile(self.draws, tails)
        return float(low), float(high)


def errors(
    samples: Float[np.ndarray, "R K m"], exact: Float[np.ndarray, "R m"]
) -> Mapping[str, Estimate]:
    """Of K estimates of m numbers in each of R replicates, over all of them.

    - "bias": |mean − exact|, without what sampling adds, over |exact|; roots of means of squares;
    - "variance": the trace of the covariance of one estimate, over |exact|²;
    - "std": the sum over meta-parameters of standard deviations (what Liu et al. 2022 call the
      variance);
    - "correlation": Pearson's, over meta-parameters, of one estimate with the exact one; the mean.

    Draws resample the replicates, where there are several, and the samples of each.
    """
    rng = np.random.default_rng(_SEED)
    values = _quantities(samples, exact)
    drawn = [_quantities(*_resampled(samples, exact, rng), draws=2) for _ in range(DRAWS)]
    return {
        name: Estimate(values[name], np.array([draw[name] for draw in drawn])) for name in values
    }


class _Parts(NamedTuple):
    """Means over replicates of what the quantities are made of."""

    bias_squared: float
    variance: float
    exact_squared: float
    deviations: float
    correlation: float


def _parts(samples: np.ndarray, exact: np.ndarray, draws: int) -> _Parts:
    """From samples (R, K, m) and exact meta-gradients (R, m).

    A mean is off by the root of its variance without any bias, and a resample's mean twice: it was
    drawn from the distribution, and again from the samples.
    """
    mean, variance = samples.mean(axis=1), samples.var(axis=1, ddof=1)
    added = draws * variance.sum(axis=1) / samples.shape[1]
    squared = np.sum((mean - exact) ** 2, axis=1) - added
    return _Parts(
        float(squared.mean()),
        float(variance.sum(axis=1).mean()),
        float(np.sum(exact**2, axis=1).mean()),
        float(np.sqrt(variance).sum(axis=1).mean()),
        _correlation(samples, exact),
    )


def _quantities(samples: np.ndarray, exact: np.ndarray, draws: int = 1) -> dict[str, float]:
    """Of samples that were drawn once, or, resampled, twice."""
    parts = _parts(samples, exact, draws)
    squared = parts.exact_squared or math.nan
    return {
        "bias": math.sqrt(max(parts.bias_squared, 0.0) / squared),
        "variance": parts.variance / squared,
        "std": parts.deviations,
        "correlation": parts.correlation,
    }


def _resampled(
    samples: np.ndarray, exact: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Replicates with replacement, if there are several, and of each its samples."""
    replicates, number, _ = samples.shape
    rows = rng.integers(replicates, size=replicates) if replicates > 1 else np.zeros(1, int)
    picked = rng.integers(number, size=(replicates, number))
    return samples[rows[:, None], picked], exact[rows]


def _correlation(samples: np.ndarray, exact: np.ndarray) -> float:
    """NaN with fewer than three meta-parameters."""
    if exact.shape[1] < 3:
        return float("nan")
    centred = samples - samples.mean(axis=2, keepdims=True)
    about = (exact - exact.mean(axis=1, keepdims=True))[:, None, :]
    product = np.sum(centred * about, axis=2)
    lengths = np.linalg.norm(centred, axis=2) * np.linalg.norm(about, axis=2)
    return float(np.mean(product / np.where(lengths > 0, lengths, np.inf)))
