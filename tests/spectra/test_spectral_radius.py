import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra.complex_ritz import (
    ComplexRitzValues,
    complex_ritz_values,
    spectral_radius_minus_one,
)
from tests.oracles.nonnormal import arnoldi_runs, departure_bound, rotations, zoo
from tests.oracles.spectra import random_starts

SIZE = 30


def ritz(values, errors, estimates=None, *, converged=True):
    """Estimates as a run could have given them."""
    values, errors = np.asarray(values, complex), np.asarray(errors, float)
    return ComplexRitzValues(
        values=values,
        residuals=errors,
        conditions=np.ones(len(values)),
        estimates=errors if estimates is None else np.asarray(estimates, float),
        errors=errors,
        matvecs=len(values),
        converged=converged,
        orthogonality=0.0,
        rounding=0.0,
    )


@pytest.mark.parametrize("nu", [1e-12, -1e-12, 1e-20j, 3e-10 + 4e-10j, -2.0, -3.0, 0.6 + 0.8j, 5.0])
def test_no_digit_is_lost_however_close_to_one(nu):
    radius = spectral_radius_minus_one(ritz([nu], [0.0]))
    wide = np.longdouble(nu.real), np.longdouble(nu.imag)
    square = 2 * wide[0] + wide[0] ** 2 + wide[1] ** 2
    np.testing.assert_allclose(radius.minus_one, float(square / (np.sqrt(1 + square) + 1)))


@pytest.mark.parametrize(
    ("values", "errors", "expected"),
    [
        ([-0.5, 1e-9], [0.1, 1e-10], "yes"),
        ([-0.5, -1e-9], [0.1, 1e-10], "no"),
        ([-0.5, -1e-9], [0.1, 1e-8], "undecided"),
        ([-0.5, 1e-9], [0.1, 1e-8], "undecided"),
        ([2e-9, 1e-9], [1e-8, 1e-10], "yes"),  # the second proves it
        ([-2.1, 0.0], [0.05, 0.0], "yes"),
        ([1e-3j, -1e-3j], [1e-7, 1e-7], "yes"),
        ([1e-3j, -1e-3j], [1e-6, 1e-6], "undecided"),
        ([0.0], [0.0], "no"),
        ([np.nan], [np.nan], "undecided"),
        ([1e-3], [np.inf], "undecided"),
    ],
)
def test_verdicts(values, errors, expected):
    run = ritz(values, errors)
    radius = spectral_radius_minus_one(run, run)
    assert radius.exceeds_one == expected
    assert radius.exceeds_one_to_first_order == expected
    if np.isfinite(errors).all():
        unsure = ritz(values, np.full(len(values), np.inf), errors)
        unsure = spectral_radius_minus_one(unsure, unsure)
        assert unsure.exceeds_one == "undecided"
        assert unsure.exceeds_one_to_first_order == expected


def test_one_run_proves_a_yes_and_witnesses_or_all_eigenvalues_a_no():
    above, below, far = (ritz([nu, -0.9], [1e-3, 1e-3]) for nu in (0.1, -0.1, -0.3))
    replace = dataclasses.replace
    assert spectral_radius_minus_one(replace(above, converged=False)).exceeds_one == "yes"
    for runs, expected in (
        ([below], "undecided"),
        ([below, below], "no"),
        ([below, far], "undecided"),
        ([below, replace(below, converged=False)], "undecided"),
        ([replace(below, complete=True)], "no"),
        ([far, above], "yes"),
    ):
        assert spectral_radius_minus_one(*runs).exceeds_one == expected
    assert spectral_radius_minus_one(far, below).minus_one == pytest.approx(-0.1)


def test_an_eigenvalue_hidden_from_one_start_is_not_denied():
    """-0.5 on the diagonal of A, I - A: one product of one start sees nothing of rho = 1.5."""
    shift = -np.eye(64, dtype=np.float32)
    shift[0, 0] = 0.5
    starts = random_starts(2, 64, np.float32)
    runs = arnoldi_runs(jnp.asarray(shift), starts, max_matvecs=1, shift=1.0)
    found = [complex_ritz_values(run, departure=0.0) for run in runs]
    assert spectral_radius_minus_one(*found).exceeds_one != "no"


def test_the_radius_of_tiny_updates_is_right_and_decided_in_float32():
    """N = 1e-8 (rotations - c I): in float32, I + N is the identity."""
    for c, expected in ((0.3, "yes"), (1.5, "no")):
        shift = np.asarray(1e-8 * (rotations(SIZE) - c * np.eye(SIZE)), np.float32)
        starts = random_starts(2, SIZE, np.float32)
        runs = arnoldi_runs(jnp.asarray(shift), starts, max_matvecs=SIZE, shift=1.0)
        found = [complex_ritz_values(run, departure=0.0) for run in runs]
        radius = spectral_radius_minus_one(*found)
        nu = np.linalg.eigvals(shift.astype(np.float64))
        exact = np.max((2 * nu.real + np.abs(nu) ** 2) / (np.abs(1 + nu) + 1))
        assert abs(radius.minus_one - exact) <= radius.error < 2e-5 * abs(exact)
        assert radius.exceeds_one == expected


def test_every_interval_of_the_zoo_holds_the_modulus_of_an_eigenvalue(dtype):
    for matrix in zoo(SIZE).values():
        rounded = np.asarray(matrix, dtype)
        starts = random_starts(2, SIZE, dtype)
        run = arnoldi_runs(jnp.asarray(rounded), starts, max_matvecs=17, shift=1.0)[0]
        exact = rounded.astype(np.float64)
        radius = spectral_radius_minus_one(
            complex_ritz_values(run, departure=departure_bound(exact))
        )
        moduli = np.abs(1 + np.linalg.eigvals(exact))
        assert np.min(np.abs(moduli - 1 - radius.minus_one)) <= radius.error
        if radius.exceeds_one == "yes":
            assert np.max(moduli) > 1
