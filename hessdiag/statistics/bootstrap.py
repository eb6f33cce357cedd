"""Bootstrap confidence intervals for any statistic of K samples (Efron 1987: BCa)."""

from collections.abc import Callable
from typing import NamedTuple, TypedDict, Unpack

import numpy as np
from scipy.special import ndtr, ndtri


class Interval(NamedTuple):
    """An estimate and its confidence interval; arrays of the statistic's shape."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> "Interval":
        """The same function of the estimate and of both ends."""
        return Interval(*(function(part) for part in self))


class Resampling(TypedDict):
    """How an interval is made: its level in (0, 1), the bootstrap's resamples, their randomness."""

    confidence: float
    resamples: int
    rng: np.random.Generator


def bca_interval(
    statistic: Callable[[np.ndarray], np.ndarray], samples: np.ndarray, **how: Unpack[Resampling]
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval; one that does not vary is the value.

    Percentile intervals of a standard deviation are too short and too low at the K that probes can
    afford; the correction for bias and skewness mends most of it. Samples are resampled whole, so
    that everything computed from one sample (all horizons, all meta-parameters) stays paired.

    Args:
        statistic: (K, …) → any shape; the samples are along axis 0.
        samples: the K samples, K ≥ 2.
        how: level of the interval, resamples and their randomness.
    """
    num = len(samples)
    draws = how["rng"].integers(num, size=(how["resamples"], num))
    boot = np.stack([statistic(samples[draw]) for draw in draws])
    left_out = ~np.eye(num, dtype=bool)
    jackknife = [statistic(samples[keep]) for keep in left_out if num > 2]  # one has no spread
    return _interval(np.asarray(statistic(samples)), boot, np.array(jackknife), how["confidence"])


def bca_interval_of_moments(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    samples: np.ndarray,
    **how: Unpack[Resampling],
) -> Interval:
    """The same interval for a statistic of means and standard deviations alone, much faster.

    The moments of all resamples are products of one matrix of counts with the samples and with
    their squares, and those of the jackknife have a closed form.

    Args:
        statistic: (mean, std), both (…, *F) with ddof 1, to (…, *S), over leading axes.
        samples: (K, *F), K ≥ 2.
        how: level of the interval, resamples and their randomness.
    """
    num, shape = len(samples), samples.shape[1:]
    centre = samples.mean(axis=0, dtype=np.float64).ravel()
    flat = samples.reshape(num, -1) - centre
    squares = flat**2

    def of_moments(mean: np.ndarray, mean_square: np.ndarray, size: int) -> np.ndarray:
        """The statistic from the first two moments of centred samples."""
        variance = mean_square - mean**2
        rounding = 4 * num * np.finfo(np.float64).eps * mean_square
        variance = np.where(variance > rounding, variance, 0.0) * (size / (size - 1))
        lead = mean.shape[:-1]
        mean, std = (part.reshape(*lead, *shape) for part in (mean + centre, np.sqrt(variance)))
        return np.asarray(statistic(mean, std))

    draws = how["rng"].integers(num, size=(how["resamples"], num))
    counts = _counts(draws) / num
    boot = of_moments(counts @ flat, counts @ squares, num)
    jackknife = np.zeros((0, *boot.shape[1:]))
    if num > 2:
        total, total_square = flat.sum(axis=0), squares.sum(axis=0)
        left = num - 1
        jackknife = of_moments((total - flat) / left, (total_square - squares) / left, left)
    value = of_moments(flat.mean(axis=0), squares.mean(axis=0), num)
    return _interval(value, boot, jackknife, how["confidence"])


def _counts(draws: np.ndarray) -> np.ndarray:
    """(R, K) how often each resample holds each sample."""
    resamples, num = draws.shape
    places = draws + num * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=resamples * num).reshape(resamples, num)


def _interval(
    value: np.ndarray, boot: np.ndarray, jackknife: np.ndarray, confidence: float
) -> Interval:
    """Both ends, from the statistic of the resamples and with each sample left out."""
    resamples = len(boot)
    below = np.mean(boot < value, axis=0) + 0.5 * np.mean(boot == value, axis=0)
    bias = ndtri(np.clip(below, 0.5 / resamples, 1.0 - 0.5 / resamples))
    skew = _acceleration(jackknife) if len(jackknife) else np.zeros(())
    ends = []
    for tail in ((1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0):
        z = bias + ndtri(tail)
        level = ndtr(bias + z / (1.0 - skew * z))
        ends.append(_quantile(boot, level))
    return Interval(value, *ends)


def _acceleration(jackknife: np.ndarray) -> np.ndarray:
    """Efron's acceleration: a sixth of the skewness of the jackknife values."""
    centred = jackknife.mean(axis=0) - jackknife
    spread = np.sum(centred**2, axis=0)
    cubes = np.sum(centred**3, axis=0)
    return np.where(spread > 0, cubes / (6.0 * np.where(spread > 0, spread, 1.0) ** 1.5), 0.0)


def _quantile(boot: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The quantile of every column of `boot` at its own level, linearly interpolated."""
    ordered = np.sort(boot, axis=0)
    position = np.clip(level, 0.0, 1.0) * (len(boot) - 1)
    lower = np.floor(position).astype(int)
    upper = np.minimum(lower + 1, len(boot) - 1)
    low, high = (np.take_along_axis(ordered, index[None], axis=0)[0] for index in (lower, upper))
    return low + (position - lower) * (high - low)
