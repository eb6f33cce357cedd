"""What a quadrature leaves open of a measure, against the measure that its start sees."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import (
    cumulative,
    cumulative_bounds,
    mass,
    mass_bounds,
    matrix_spectrum,
    ritz_values_per_start,
)
from tests.oracles.spectra import matrix_runs, prescribed_matrix, random_starts

SIZE, STARTS = 120, 6
SPECTRA = {
    "spread": np.linspace(-1, 2, SIZE),
    "bulk and outliers": np.concatenate([np.linspace(-0.01, 0.01, SIZE - 6), 2.0 ** np.arange(6)]),
    "two clusters": np.repeat([-1.0, 1.0], SIZE // 2) + 1e-3 * np.linspace(-1, 1, SIZE),
    "atoms": np.repeat([-4.0, 0.0, 3.0], SIZE // 3),
}


def case(name, dtype, depth):
    """Runs from several starts, and the measure of each: eigenvalues, and overlaps squared."""
    matrix = jnp.asarray(prescribed_matrix(SPECTRA[name]), dtype)
    starts = random_starts(STARTS, SIZE, dtype)
    runs = ritz_values_per_start(matrix_runs(matrix, starts, max_matvecs=depth))
    wide = np.asarray(matrix, np.float64)
    values, vectors = np.linalg.eigh((wide + wide.T) / 2)
    overlaps = np.asarray(starts, np.float64) @ vectors
    return runs, values, overlaps**2 / np.sum(overlaps**2, axis=1, keepdims=True)


@pytest.mark.parametrize("depth", [4, 12, 40])
@pytest.mark.parametrize("name", SPECTRA)
def test_every_start_s_measure_lies_within_the_bounds(dtype, name, depth):
    """Between the nodes and on them; the estimate does, too."""
    runs, values, measures = case(name, dtype, depth)
    rounding = 200 * np.finfo(dtype).eps
    points = np.concatenate([np.linspace(-5, 40, 301), np.linspace(-1.1, 1.1, 301), values])
    clear = [np.min(np.abs(points[:, None] - values), axis=1) > 1e-4, np.isfinite(points)]
    points = points[np.logical_and(*clear)]
    for run, measure in zip(runs, measures, strict=True):
        lower, upper = cumulative_bounds([run], points)
        truth = (values <= points[:, None]) @ measure
        assert (lower - rounding <= truth).all()
        assert (truth <= upper + rounding).all()
        estimate, _ = cumulative([run], points)
        assert (lower - rounding <= estimate).all()
        assert (estimate <= upper + rounding).all()


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.5), (0.25, np.inf), (-np.inf, 0.25)])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_mass_of_an_interval_lies_within_its_bounds(dtype, name, low, high):
    runs, values, measures = case(name, dtype, 12)
    inside = (values >= low) & (values <= high)
    (least, _), (most, _) = mass_bounds(runs, low, high)
    truth = np.mean(measures @ inside)
    assert least - 1e-4 <= truth <= most + 1e-4
    assert least - 1e-4 <= mass(runs, low, high)[0] <= most + 1e-4


def test_an_invariant_space_leaves_nothing_open():
    """Three eigenvalues to single precision, and what each start sees of them."""
    runs, _, _ = case("atoms", np.float32, 12)
    assert all(run.matvecs == 3 for run in runs)
    for low, high in ((-5, -1), (-1, 1), (1, 5), (-np.inf, np.inf)):
        least, most = mass_bounds(runs, low, high)
        assert least == most
        assert least == pytest.approx(mass(runs, low, high))


def test_a_value_within_its_error_of_the_end_is_open():
    spectrum = matrix_spectrum(np.diag(np.array([-1.0, 0.0, 1.0, 2.0])))
    spectrum = dataclasses.replace(spectrum, errors=np.full(4, 0.1), rounding=0.1)
    least, most = mass_bounds([spectrum], 0.05, np.inf)
    assert (least, most) == (pytest.approx((0.5, 0.0)), pytest.approx((0.75, 0.0)))


def test_beyond_converged_ends_there_is_nothing():
    runs, values, _ = case("bulk and outliers", np.float32, 40)
    sure, unsure = (dataclasses.replace(runs[0], converged=known) for known in (True, False))
    for low, high in ((values[-1] + 1, np.inf), (-np.inf, values[0] - 1)):
        assert mass_bounds([sure], low, high)[1][0] == pytest.approx(0, abs=1e-12)
        assert mass_bounds([unsure], low, high)[1][0] > 0


def test_more_steps_leave_less_open(dtype):
    widths = []
    for depth in (6, 12, 40):
        runs, _, _ = case("spread", dtype, depth)
        (least, _), (most, _) = mass_bounds(runs, 0.25, np.inf)
        widths.append(most - least)
    assert widths[0] > 1.5 * widths[1] > 3 * widths[2]
