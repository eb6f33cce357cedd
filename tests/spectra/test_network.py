"""A network of 1,140 parameters: Lanczos and densities against its full dense spectrum."""

import functools

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.spectra import (
    extremes,
    hessian,
    lanczos,
    mass,
    mass_split,
    moment,
    ritz_values_per_start,
)
from tests.oracles.spectra import mlp_loss, mlp_problem, random_starts

SIZES, STARTS, DEPTH = (16, 28, 20, 4), 12, 80


@pytest.fixture(scope="module")
def spectra():
    """Ritz values of every start in single precision, and all eigenvalues of `jax.hessian`."""
    params, inputs, labels = mlp_problem(np.float32, sizes=SIZES, batch=200)

    @jax.jit
    def krylov(params):
        operator = hessian(lambda p: mlp_loss(p, inputs, labels), params)
        run = functools.partial(lanczos, operator, max_matvecs=DEPTH, tolerance=0.0)
        starts = random_starts(STARTS, operator.size, np.float32)
        return jax.lax.map(run, starts)

    runs = ritz_values_per_start(krylov(params))
    with jax.enable_x64(True):
        wide, inputs = jax.tree.map(lambda a: np.asarray(a, np.float64), (params, inputs))
        flat, unravel = ravel_pytree(wide)
        dense = jax.jit(jax.hessian(lambda x: mlp_loss(unravel(x), inputs, labels)))(flat)
        truth = np.linalg.eigvalsh(np.asarray(dense))
    return runs, truth


def test_extremes(spectra):
    runs, truth = spectra
    assert len(truth) == 1140
    ends = extremes(runs)
    assert abs(ends.lowest - truth[0]) <= ends.lowest_error
    assert abs(ends.highest - truth[-1]) <= ends.highest_error
    assert ends.highest_error < 1e-4 * truth[-1]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_moments(spectra, order):
    runs, truth = spectra
    mean, error = moment(runs, order)
    assert abs(mean - np.mean(truth**order)) <= 4 * error
    assert error < 0.5 * np.mean(np.abs(truth) ** order)


@pytest.mark.parametrize("share", [1e-3, 1e-2, 1e-1])
def test_mass_outside_an_interval(spectra, share):
    """Eigenvalues beyond a share of the norm, on each side: counted, and estimated."""
    runs, truth = spectra
    edge = share * truth[-1]
    for low, high in ((edge, np.inf), (-np.inf, -edge)):
        counted = np.mean((truth >= low) & (truth <= high))
        mean, error = mass(runs, low, high)
        assert abs(mean - counted) <= error
        assert error < 0.2


def test_the_share_that_expands(spectra):
    """H = -alpha Hessian above 0: the negative eigenvalues, up to what is undecided."""
    runs, truth = spectra
    split = mass_split(runs, 1.0)
    negative = np.mean(truth < -split_width(runs))
    assert abs(split.above[0] - negative) <= split.above[1]
    np.testing.assert_allclose(
        split.above[0] + split.inside[0] + split.below[0] + split.zero[0], 1, rtol=1e-6
    )


def split_width(runs) -> float:
    """What counts as zero."""
    return max(run.rounding for run in runs)
