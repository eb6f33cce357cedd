"""Bounds on the measure of one start, against measures that are known, in float64."""

import numpy as np
import pytest

from hessdiag.spectra import RitzValues
from hessdiag.spectra.intervals import share_interval
from hessdiag.spectra.quadrature import christoffel, cumulative_bounds

SPECTRA = {
    "bulk": np.linspace(-1, 1.3, 80),
    "zeros in a bulk": np.concatenate([np.zeros(30), np.linspace(-1, 1.3, 50)]),
    "decay": 0.8 ** np.arange(80.0) * np.where(np.arange(80) % 3, 1, -1),
    "copies": np.repeat([-2.0, 0, 1, 5], 20),
}


def run_of(values, steps, seed=0):
    """A Lanczos run on a diagonal matrix, with all its measure's points and weights."""
    start = np.random.default_rng(seed).standard_normal(len(values))
    start /= np.linalg.norm(start)
    basis, alpha, beta, vector = [], [], [], start
    for _ in range(steps):
        basis.append(vector)
        rest = values * vector
        alpha.append(vector @ rest)
        for _ in range(2):
            rest = rest - np.array(basis).T @ (np.array(basis) @ rest)
        beta.append(np.linalg.norm(rest))
        if beta[-1] < 1e-12:
            beta[-1] = 0
            break
        vector = rest / beta[-1]
    t = np.array([alpha, beta])
    nodes, vectors = np.linalg.eigh(np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1))
    run = RitzValues(
        values=nodes,
        weights=vectors[0] ** 2,
        errors=beta[-1] * np.abs(vectors[-1]),
        matvecs=len(alpha),
        converged=False,
        orthogonality=0.0,
        rounding=1e-14,
        asymmetry=0.0,
        size=len(values),
        tridiagonal=t,
    )
    return run, start**2


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 60])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_weight_up_to_any_point_is_within_its_bounds(name, steps):
    values = SPECTRA[name]
    run, weights = run_of(values, steps)
    points = np.concatenate([np.linspace(-2.5, 5.5, 41), values[:10] - 1e-9, values[:10] + 1e-9])
    assert run.tridiagonal is not None
    widths = christoffel(run.tridiagonal, points)
    for point, width in zip(points, widths, strict=True):
        low, high = cumulative_bounds(run, point)
        truth = weights[values <= point].sum()
        assert low - 1e-9 <= truth <= high + 1e-9
        assert high - low <= width + 1e-9
        assert abs(run.weights[run.values <= point].sum() - truth) <= width + 1e-9


def test_what_is_resolved_is_not_open():
    """An invariant space is known at every point but its own, and a gap long before."""
    run, _ = run_of(SPECTRA["copies"], 10)
    for point in (-1.9, -1e-6, 1e-6, 0.5, 4.99):
        low, high = cumulative_bounds(run, point)
        assert high - low < 1e-9
    gap = np.concatenate([np.linspace(-2, -1, 40), np.linspace(1, 2, 40)])
    low, high = cumulative_bounds(run_of(gap, 24)[0], 0.0)
    assert high - low < 1e-4


def test_a_point_that_is_a_node_is_bounded_by_its_neighbours():
    run, weights = run_of(SPECTRA["bulk"], 12)
    for k, node in enumerate(run.values):
        low, high = cumulative_bounds(run, node)
        assert low == pytest.approx(run.weights[:k].sum(), abs=1e-6)
        assert high == pytest.approx(run.weights[: k + 1].sum(), abs=1e-6)
        assert low <= weights[SPECTRA["bulk"] <= node].sum() <= high


@pytest.mark.parametrize(("share", "count"), [(1, 1), (1, 4), (20, 4), (100, 2)])
def test_the_interval_of_a_share_holds_it_in_95_percent(share, count):
    """Shares of random directions in a subspace of so many of 200 dimensions."""
    rng = np.random.default_rng(share)
    squares = rng.standard_normal((4000, count, 200)) ** 2
    seen = (squares[..., :share].sum(-1) / squares.sum(-1)).mean(-1)
    low, high = share_interval(seen, seen, total=200 * count)
    held = np.mean((low <= share / 200) & (share / 200 <= high))
    assert held == pytest.approx(0.95, abs=0.015)
    assert np.mean(low > share / 200) < 0.035
