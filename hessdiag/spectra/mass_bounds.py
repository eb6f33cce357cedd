"""How much of a spectrum lies where, as far as quadratures settle it.

A quadrature of m nodes has the first 2 m - 1 moments of the measure that its start sees, and many
other measures have them, too. All of them have, up to a node, at least the weights before it and at
most its own besides (the inequalities of Chebyshev, Markov and Stieltjes): between two nodes their
mass is open by the weights of both. Probes do not tell this error; more steps make it smaller.
Beyond converged ends nothing is left open, as far as they are the ends of the spectrum.

References:
    Szegő 1975, Orthogonal Polynomials, section 3.41.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from hessdiag.spectra.density import Estimate, mean_and_error
from hessdiag.spectra.ritz import RitzValues


def mass_bounds(runs: Sequence[RitzValues], low: float, high: float) -> tuple[Estimate, Estimate]:
    """The least and the most that can lie in [low, high], as fractions of the eigenvalues.

    Args:
        runs: Results of different random starts on the same operator.
        low: Lower end, included.
        high: Upper end, included.

    Returns:
        Means over the starts with their standard errors; both the mass itself, but for values
        within their own error of an end, where Krylov spaces are invariant or the spectrum exact.
    """
    ends = np.array([np.nextafter(low, -np.inf), high])
    bounds = [_cumulative(run, ends) for run in runs]
    least = np.array([max(0.0, lower[1] - upper[0]) for lower, upper in bounds])
    most = np.array([upper[1] - lower[0] for lower, upper in bounds])
    exact = all(run.exact for run in runs)
    (lower, lower_error), (upper, upper_error) = (
        mean_and_error(samples, exact=exact) for samples in (least, most)
    )
    return (float(lower), float(lower_error)), (float(upper), float(upper_error))


def cumulative_bounds(
    runs: Sequence[RitzValues], points: Float[np.ndarray, " num"]
) -> tuple[Float[np.ndarray, " num"], Float[np.ndarray, " num"]]:
    """The least and the most that can lie at or below each point; means over the starts."""
    lower, upper = np.mean([_cumulative(run, points) for run in runs], axis=0)
    return lower, upper


def _cumulative(run: RitzValues, points: Float[np.ndarray, " num"]) -> Float[np.ndarray, "2 num"]:
    """The same of the measure that one start sees."""
    total = np.concatenate([[0.0], np.cumsum(run.weights)])
    if (run.errors <= run.rounding).all():  # the nodes are the spectrum
        lower = total[np.searchsorted(np.sort(run.values + run.errors), points, side="right")]
        upper = total[np.searchsorted(np.sort(run.values - run.errors), points, side="right")]
    else:
        nodes = np.searchsorted(run.values, points, side="right")
        lower = total[np.maximum(nodes - 1, 0)]
        upper = total[np.minimum(nodes + 1, len(run.values))]
    before, after = points == -np.inf, points == np.inf
    if run.converged:  # nothing lies beyond the ends
        before |= points < run.values[0] - run.errors[0]
        after |= points >= run.values[-1] + run.errors[-1]
    lower, upper = (np.where(after, total[-1], bound) for bound in (lower, upper))
    return np.stack([np.where(before, 0.0, bound) for bound in (lower, upper)])
