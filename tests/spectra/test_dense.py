import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import (
    NonSymmetricOperatorError,
    dense_matrix,
    matrix_spectrum,
    symmetric,
)
from tests.oracles.spectra import (
    matrix_operator,
    prescribed_matrix,
    tolerance,
)


def spectrum_of(operator):
    """As `spectrum` has it for small problems."""
    return matrix_spectrum(np.asarray(jax.jit(lambda: dense_matrix(operator))()))


def test_matrix_is_not_transposed_and_batches_leave_no_gap(dtype):
    matrix = np.asarray(np.random.default_rng(0).standard_normal((131, 131)), dtype)
    operator = matrix_operator(jnp.asarray(matrix))
    np.testing.assert_array_equal(jax.jit(lambda: dense_matrix(operator))(), matrix)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_every_prescribed_eigenvalue_within_its_error(dtype, scale):
    eigenvalues = scale * np.sort(np.repeat([-2.0, 0.0, 1e-3, 1.0, 7.0], [3, 20, 10, 30, 7]))
    spectrum = spectrum_of(matrix_operator(jnp.asarray(prescribed_matrix(eigenvalues), dtype)))
    assert (np.abs(spectrum.values - eigenvalues) <= spectrum.errors).all()
    assert spectrum.errors[0] < tolerance(dtype, 7 * scale, factor=50)
    np.testing.assert_allclose(spectrum.weights, 1 / 70)
    assert (spectrum.matvecs, spectrum.converged, spectrum.exact) == (70, True, True)
    np.testing.assert_array_equal(spectrum.errors, spectrum.rounding)


def test_a_non_symmetric_matrix_is_refused(dtype):
    matrix = np.eye(30)
    matrix[3, 5] = 1e-3
    operator = matrix_operator(jnp.asarray(matrix, dtype))
    with pytest.raises(NonSymmetricOperatorError, match="symmetry defect"):
        spectrum_of(operator)


def test_a_matrix_that_is_not_finite_gives_nan():
    spectrum = matrix_spectrum(np.full((3, 3), np.nan))
    assert np.isnan(spectrum.values).all()
    assert np.isnan(spectrum.errors).all()
    assert not spectrum.converged


def test_the_zero_operator(dtype):
    spectrum = spectrum_of(symmetric(jnp.zeros_like, jnp.zeros(4, dtype)))
    np.testing.assert_array_equal(spectrum.values, 0)
    np.testing.assert_array_equal(spectrum.errors, 0)


def test_asymmetry_that_passes_for_rounding_is_in_the_errors():
    """One entry off the diagonal: all eigenvalues stay one, those of the symmetric part move."""
    matrix = np.eye(100, dtype=np.float32)
    matrix[0, 1] = 8e-4
    found = matrix_spectrum(matrix)
    assert found.values[0] < 1 - 3e-4
    assert (np.abs(found.values - 1) <= found.errors).all()
    assert (found.errors < 5e-4).all()
