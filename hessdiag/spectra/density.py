"""Spectral density, its integral and its moments by stochastic Lanczos quadrature.

Every function takes the results of different random starts on the same operator. The nodes and
weights of one start are a Gauss quadrature of the spectral measure seen by that start, and its
expectation over starts is the measure that gives each eigenvalue weight 1 / d. Every mean over
starts therefore comes with its standard error, which is NaN for a single start (one start cannot
tell its own error) and zero for an exact spectrum. What a quadrature leaves open between its nodes
is no part of it.

References:
    Chen, Trogdon and Ubaru 2021, arXiv:2105.06595.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from hessdiag.spectra.ritz import RitzValues

LINEAR_FRACTION = 1e-3
"""Part of the largest |lambda| up to which the asinh axis is linear; it is logarithmic beyond."""

SMOOTHING = 0.15
"""Width of the kernel on the asinh axis: 15 %, relative, for large |lambda|, and one per cent of
the axis, whose length is at most 2 asinh(1000) = 15."""

Estimate = tuple[float, float]
"""A mean over starts and its standard error."""


@dataclasses.dataclass(frozen=True)
class MassSplit:
    """Where the eigenvalues of H = -alpha A lie, as fractions of d: mean and standard error.

    The first four means sum to one. The last is the mass of their nodes whose own error interval
    crosses 0 or -2: it says how much of the other masses Lanczos has not resolved.
    """

    above: Estimate  # above 0: directions that I + H expands, by negative curvature of A
    inside: Estimate  # in [-2, 0) without the zeros: directions that I + H does not expand
    below: Estimate  # below -2: directions that overshoot and expand
    zero: Estimate  # zero to within rounding, |lambda| <= tau |A|
    undecided: Estimate


def mass(runs: Sequence[RitzValues], low: float, high: float) -> Estimate:
    """Fraction of the eigenvalues in [low, high], ends included."""
    return _estimate(runs, lambda run: (run.values >= low) & (run.values <= high))


def moment(runs: Sequence[RitzValues], order: int) -> Estimate:
    """Spectral moment trace(A^order) / d; exact per start up to order 2 m - 1 for m steps."""
    return _estimate(runs, lambda run: run.values**order)


def mass_split(
    runs: Sequence[RitzValues], alpha: float, *, zero_tolerance: float | None = None
) -> MassSplit:
    """Fractions of the eigenvalues of H = -alpha A above 0, in [-2, 0], below -2, and at zero.

    Structural zeros (dead units, unseen inputs, the softmax gauge) come out as rounding of
    either sign and are therefore counted apart, where |lambda| <= tau |A|. tau, `zero_tolerance`,
    is by default the rounding that every value is granted, about 16 eps: an eigenvalue counts as
    zero if these products cannot tell it from zero. A cluster around zero takes Lanczos many steps
    to resolve; until then its zeros sit in nodes of either sign, and `undecided` says how much mass
    that may concern.
    """
    rounding = max(run.rounding for run in runs)
    width = rounding if zero_tolerance is None else zero_tolerance * _scale(runs)
    zero = abs(alpha) * width

    def part(condition: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Estimate:
        """Mass where a condition on the eigenvalues of H and their errors holds."""
        return _estimate(runs, lambda run: condition(-alpha * run.values, abs(alpha) * run.errors))

    return MassSplit(
        above=part(lambda h, _: h > zero),
        inside=part(lambda h, _: (h < -zero) & (h >= -2)),
        below=part(lambda h, _: (h < -zero) & (h < -2)),
        zero=part(lambda h, _: np.abs(h) <= zero),
        undecided=part(
            lambda h, error: (np.abs(h) > zero) & ((np.abs(h) <= error) | (np.abs(h + 2) <= error))
        ),
    )


def grid(runs: Sequence[RitzValues], num: int) -> Float[np.ndarray, " num"]:
    """Ascending points for a density plot, even on an asinh axis, to 4 kernels beyond every node.

    The axis is linear near zero and logarithmic in both tails, relative to the largest |lambda|, so
    that a bulk near zero and outliers a thousand times larger are seen at once.
    """
    unit = _linear_unit(runs)
    nodes = np.arcsinh(np.concatenate([run.values for run in runs]) / unit)
    axis = np.linspace(nodes.min() - 4 * SMOOTHING, nodes.max() + 4 * SMOOTHING, num)
    return unit * np.sinh(axis)


def density(
    runs: Sequence[RitzValues], points: Float[np.ndarray, " num"]
) -> Float[np.ndarray, " num"]:
    """Mean density over the starts, per unit of lambda, at the points of a `grid`.

    Smoothed by Gaussian kernels of constant width on the asinh axis. The width is thus relative,
    `SMOOTHING` of |lambda| in the tails, and scaling A scales the plot. Integrates to one over
    lambda. Draw outliers that matter as lines: a kernel hides their height.
    """
    unit = _linear_unit(runs)
    axis = np.arcsinh(points / unit)
    total = np.zeros(len(points))
    for run in runs:
        distance = (axis[:, None] - np.arcsinh(run.values / unit)) / SMOOTHING
        total += np.exp(-(distance**2) / 2) @ run.weights
    slope = 1 / np.hypot(points, unit)  # d axis / d lambda
    return total * slope / (len(runs) * SMOOTHING * np.sqrt(2 * np.pi))


def cumulative(
    runs: Sequence[RitzValues], points: Float[np.ndarray, " num"]
) -> tuple[Float[np.ndarray, " num"], Float[np.ndarray, " num"]]:
    """Fraction of the eigenvalues at or below each point, and its error, without any smoothing."""
    return _mean_and_error(runs, [(points[:, None] >= run.values) @ run.weights for run in runs])


def _estimate(runs: Sequence[RitzValues], function: Callable[[RitzValues], np.ndarray]) -> Estimate:
    """Integral of a function of the nodes over the spectral measure."""
    mean, error = _mean_and_error(runs, [run.weights @ function(run) for run in runs])
    return float(mean), float(error)


def _mean_and_error(runs: Sequence[RitzValues], samples: list) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error of what each start gave."""
    mean = np.mean(samples, axis=0)
    if all(run.exact for run in runs):
        return mean, np.zeros_like(mean)
    if len(runs) == 1:
        return mean, np.full_like(mean, np.nan)
    return mean, np.std(samples, axis=0, ddof=1) / np.sqrt(len(runs))


def _scale(runs: Sequence[RitzValues]) -> float:
    return float(np.max([np.max(np.abs(run.values)) for run in runs]))


def _linear_unit(runs: Sequence[RitzValues]) -> float:
    """Half-width of the linear part of the asinh axis; 1 for the zero operator."""
    return LINEAR_FRACTION * _scale(runs) or 1.0
