"""Spectral density, its integral and its moments by stochastic Lanczos quadrature.

Every function takes the results of different random starts on the same operator. The nodes and
weights of one start are a Gauss quadrature of the spectral measure seen by that start, and its
expectation over starts is the measure that gives each eigenvalue weight 1 / d. Every mean over
starts comes with the half-width of a 95 % interval, which needs no second start, for it is known
how random directions scatter; it is zero for an exact spectrum. What the quadrature leaves open is
bounded (`quadrature`) and added, so that intervals of shares hold the truth more often where much
is unresolved.

References:
    Chen, Trogdon and Ubaru 2021, arXiv:2105.06595.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hessdiag.spectra.intervals import share_interval, student
from hessdiag.spectra.quadrature import christoffel, cumulative_bounds
from hessdiag.spectra.ritz import RitzValues

LINEAR_FRACTION = 1e-3
"""Part of the largest |lambda| up to which the asinh axis is linear; it is logarithmic beyond."""

SMOOTHING = 0.15
"""Width of the kernel on the asinh axis: 15 %, relative, for large |lambda|, and one per cent of
the axis, whose length is at most 2 asinh(1000) = 15."""

Estimate = tuple[float, float]
"""An estimate and the half-width of its 95 % interval."""


@dataclasses.dataclass(frozen=True)
class MassSplit:
    """Where the eigenvalues of H = -alpha A lie, as fractions of d, with their half-widths.

    The first four sum to one. The last is the weight at the boundaries, of which Lanczos does not
    know the side; their half-widths include it.
    """

    above: Estimate  # above 0: directions that I + H expands, by negative curvature of A
    inside: Estimate  # in [-2, 0) without the zeros: directions that I + H does not expand
    below: Estimate  # below -2: directions that overshoot and expand
    zero: Estimate  # zero to within rounding, |lambda| <= tau |A|
    undecided: Estimate


def mass(runs: Sequence[RitzValues], low: float, high: float) -> Estimate:
    """Fraction of the eigenvalues in [low, high], ends included."""
    rounding = max(run.rounding for run in runs)
    return _share(runs, _edge(runs, low, rounding, strict=True), _edge(runs, high, rounding))


def moment(runs: Sequence[RitzValues], order: int) -> Estimate:
    """Spectral moment trace(A^order) / d; exact per start up to order 2 m - 1 for m steps.

    The variance over random directions is 2 / d times the expected variance of lambda^order in the
    measure of one start, which each start thus measures. Its degrees of freedom are the number of
    starts times the effective number of eigenvalues that make it, d E[g²]² / E[g⁴] for the
    deviations g from the mean, but at least one.
    """
    weights = [run.weights for run in runs]
    powers = [run.values**order for run in runs]
    means = np.array([w @ p for w, p in zip(weights, powers, strict=True)])
    if all(run.exact for run in runs):
        return float(np.mean(means)), 0.0
    unit = _scale(runs) ** order or 1.0
    gaps = [(p - m) / unit for p, m in zip(powers, means, strict=True)]
    second, fourth = (
        np.mean([w @ g**n for w, g in zip(weights, gaps, strict=True)]) for n in (2, 4)
    )
    size, count = runs[0].size, len(runs)
    effective = np.maximum(size * second**2 / (fourth or 1.0), 1.0)
    error = student(unit * np.sqrt(2 * second / (size * count)), count * effective)
    return float(np.mean(means)), float(error + order * unit * _relative_rounding(runs))


def mass_split(
    runs: Sequence[RitzValues], alpha: float, *, zero_tolerance: float | None = None
) -> MassSplit:
    """Fractions of the eigenvalues of H = -alpha A above 0, in [-2, 0], below -2, and at zero.

    Structural zeros (dead units, unseen inputs, the softmax gauge) come out as rounding of
    either sign and are therefore counted apart, where |lambda| <= tau |A|. tau, `zero_tolerance`,
    is by default the rounding that every value is granted, about 16 eps: an eigenvalue counts as
    zero if these products cannot tell it from zero. A cluster around zero takes Lanczos many steps
    to resolve; until then its weight is in the errors, and in `undecided`.

    Raises:
        ValueError: If the step size alpha is negative.
    """
    if alpha < 0:
        raise ValueError(f"alpha is a step size and cannot be negative, got {alpha}")
    rounding = max(run.rounding for run in runs)
    width = rounding if zero_tolerance is None else zero_tolerance * _scale(runs)
    if alpha == 0:
        return MassSplit(above=(0, 0), inside=(0, 0), below=(0, 0), zero=(1, 0), undecided=(0, 0))
    least, most = _edge(runs, -np.inf, 0), _edge(runs, np.inf, 0)
    # Those of the zeros are not blurred: eigenvalues within rounding of zero are that class.
    negative, positive = _edge(runs, -width, 0, strict=True), _edge(runs, width, 0)
    overshoot = _edge(runs, max(2 / alpha, width), rounding)
    return MassSplit(
        above=_share(runs, least, negative),
        inside=_share(runs, positive, overshoot),
        below=_share(runs, overshoot, most),
        zero=_share(runs, negative, positive),
        undecided=_open(runs, (least, negative, positive, overshoot, most)),
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
    shares = [(points[:, None] >= run.values) @ run.weights for run in runs]
    mean = np.mean(shares, axis=0)
    if all(run.exact for run in runs):
        return mean, np.zeros_like(mean)
    open_weights = [christoffel(_tridiagonal(run), points) for run in runs]
    lower, upper = (
        np.mean([np.clip(s + sign * w, 0, 1) for s, w in zip(shares, open_weights, strict=True)], 0)
        for sign in (-1, 1)
    )
    return mean, _half_width(runs, mean, lower, upper)


class _Edge(NamedTuple):
    """The weight up to a boundary between two classes, per start."""

    lower: Float[np.ndarray, " starts"]
    upper: Float[np.ndarray, " starts"]

    @property
    def middle(self) -> float:
        return float(np.mean(self.lower + self.upper)) / 2


def _edge(runs: Sequence[RitzValues], point: float, blur: float, *, strict=False) -> _Edge:
    bounds = [cumulative_bounds(run, point, blur=blur, strict=strict) for run in runs]
    return _Edge(*np.array(bounds).T)


def _share(runs: Sequence[RitzValues], low: _Edge, high: _Edge) -> Estimate:
    """Fraction of the eigenvalues between two boundaries."""
    estimate = high.middle - low.middle
    if all(run.exact for run in runs):
        return estimate, 0.0
    least = np.mean(np.maximum(high.lower - low.upper, 0))
    most = np.mean(np.minimum(high.upper - low.lower, 1))
    return estimate, float(_half_width(runs, estimate, least, most))


def _open(runs: Sequence[RitzValues], edges: Sequence[_Edge]) -> Estimate:
    """The weight that is between no two boundaries for certain; how it scatters over the starts."""
    if all(run.exact for run in runs):
        return 0.0, 0.0
    certain = [np.maximum(b.lower - a.upper, 0) for a, b in itertools.pairwise(edges)]
    weights = np.maximum(1 - np.sum(certain, axis=0), 0)
    count = len(weights)
    if count == 1:
        return float(weights[0]), np.nan
    scatter = np.std(weights, ddof=1) / np.sqrt(count)
    return float(np.mean(weights)), float(student(scatter, count - 1))


def _half_width(runs: Sequence[RitzValues], estimate, lower, upper):
    """From an estimate to the farther end of the interval of a share that starts saw in bounds."""
    low, high = share_interval(lower, upper, total=runs[0].size * len(runs))
    return np.maximum(estimate - low, high - estimate) + _relative_rounding(runs)


def _relative_rounding(runs: Sequence[RitzValues]) -> float:
    return max(run.rounding for run in runs) / (_scale(runs) or 1.0)


def _tridiagonal(run: RitzValues) -> Float[np.ndarray, "2 m"]:
    assert run.tridiagonal is not None  # of a run that is not exact
    return run.tridiagonal


def _scale(runs: Sequence[RitzValues]) -> float:
    return float(np.max([np.max(np.abs(run.values)) for run in runs]))


def _linear_unit(runs: Sequence[RitzValues]) -> float:
    """Half-width of the linear part of the asinh axis; 1 for the zero operator."""
    return LINEAR_FRACTION * _scale(runs) or 1.0
