"""What a Lanczos run leaves open of the spectral measure of its start.

All measures with the moments that a run knows have, up to a point x, a weight between two numbers,
which are attained: they differ by the weight of the node at x of the Gauss-Radau rule that has one
there (Chebyshev, Markov and Stieltjes). In a gap of the spectrum that weight vanishes
exponentially; in a bulk it is about that of one Ritz value.

References:
    Golub and Meurant 2010, Matrices, Moments and Quadrature, chapters 2 and 6. Chen, Trogdon and
    Ubaru 2021, arXiv:2105.06595, section 4.
"""

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal

from hessdiag.spectra.ritz import RitzValues

_ROUNDING = 8 * np.finfo(float).eps  # times the norm: how exactly a Ritz value is known
_FAR = 1e8  # times the norm: a second node so far out has no weight, and the rule is that of Gauss


def cumulative_bounds(
    run: RitzValues, point: float, *, blur: float = 0.0, strict: bool = False
) -> tuple[float, float]:
    """Least and largest weight that the measure of the start may have up to a point.

    Of an exact spectrum both are the share of the values up to the point, or `strict`ly below it.
    Otherwise they are those at `blur` below the point and at `blur` above.
    """
    if not np.isfinite(run.values).all():
        return np.nan, np.nan
    if run.tridiagonal is None:
        inside = run.values < point if strict else run.values <= point
        share = float(run.weights @ inside)
        return share, share
    if np.isinf(point):
        return (1.0, 1.0) if point > 0 else (0.0, 0.0)
    low, high = _weights_around(run.tridiagonal, point - blur)
    return low, _weights_around(run.tridiagonal, point + blur)[1] if blur else high


def christoffel(
    tridiagonal: Float[np.ndarray, "2 m"], points: Float[np.ndarray, " num"]
) -> Float[np.ndarray, " num"]:
    """Largest weight that a single point may have: 1 / sum of p_j², the orthonormal polynomials.

    A Ritz value within rounding of a point may be on either side of it: its weight counts whole.
    """
    weight = _polynomials(tridiagonal, points)[0]
    if not np.isfinite(tridiagonal).all():
        return weight
    values, vectors = eigh_tridiagonal(tridiagonal[0], tridiagonal[1, :-1])
    rounding = _ROUNDING * np.abs(tridiagonal).max()
    near = np.abs(points[:, None] - values) <= rounding
    return np.maximum(weight, np.max(near * vectors[0] ** 2, axis=1))


def _weights_around(t: Float[np.ndarray, "2 m"], point: float) -> tuple[float, float]:
    """Weight below a point, and up to it, of the Gauss-Radau rule with a node there."""
    weight, pivots = _polynomials(t, np.array([point]))
    alpha, beta = t
    with np.errstate(divide="ignore"):
        added = point - beta[-1] ** 2 / pivots[-1, 0]
    if abs(added) > _FAR * np.abs(t).max():  # the point is a node of the Gauss rule
        values, vectors = eigh_tridiagonal(alpha, beta[:-1])
        place = int(np.argmin(np.abs(values - point)))
        total = np.concatenate([[0], np.cumsum(vectors[0] ** 2)])
        return total[place], total[place + 1]
    values, vectors = eigh_tridiagonal(np.append(alpha, added), beta)
    total = np.concatenate([[0], np.cumsum(vectors[0] ** 2)])
    place = int(np.sum(pivots > 0))  # by Sturm: so many nodes are below
    low, high = total[place], total[place + 1]
    # Of nodes within rounding of each other the solver knows only the sum of the weights.
    gaps = np.diff(np.concatenate([[-np.inf], values, [np.inf]]))
    if gaps[place] < gaps[place + 1]:
        return max(high - weight[0], 0.0), high
    return low, min(low + weight[0], 1.0)


@np.errstate(over="ignore")
def _polynomials(
    t: Float[np.ndarray, "2 m"], points: Float[np.ndarray, " num"]
) -> tuple[Float[np.ndarray, " num"], Float[np.ndarray, "m num"]]:
    """1 / sum of p_j², j = 0 ... m, and the pivots beta_j p_j / p_(j-1)."""
    scale = np.abs(t).max() or 1.0
    first, current, total = np.ones((3, len(points)))
    pivots, before = [], np.zeros(len(points))
    for diagonal, coupling in t.T:
        pivot = points - diagonal - before
        pivot = np.where(pivot == 0, np.finfo(float).tiny * scale, pivot)
        current = current * pivot / max(coupling, 1e-100 * scale)  # a breakdown leaves no weight
        total += current**2
        unit = np.maximum(np.abs(current), 1)
        first, current, total = first / unit, current / unit, total / unit**2
        before = coupling**2 / pivot
        pivots.append(pivot)
    return first**2 / total, np.stack(pivots)
