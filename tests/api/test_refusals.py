"""What the one call for a loss refuses also where the spectrum comes from Lanczos."""

import jax.numpy as jnp
import numpy as np
import pytest

import hessdiag
from hessdiag import spectra

SIZE = spectra.DENSE_LIMIT + 1


def measure(matvec, *, declare=spectra.symmetric, **options):
    """The spectrum of a map of more parameters than are solved densely."""
    return hessdiag.spectrum(
        lambda *_: jnp.zeros(()),
        jnp.zeros(SIZE),
        jnp.arange(SIZE, dtype=jnp.float32),
        operator=lambda params, batch: declare(lambda v: matvec(batch, v), params),
        matvecs=12,
        **options,
    )


@pytest.mark.parametrize("declare", [spectra.symmetric, spectra.linear])
@pytest.mark.parametrize("skew", [1.0, 1e-2])
def test_a_non_symmetric_operator_is_refused_on_the_lanczos_path(skew, declare):
    """With the defect that the run measured, whatever the operator says of itself."""

    def matvec(entries, v):
        return entries * v + skew * SIZE * jnp.roll(v, 1)

    with pytest.raises(spectra.NonSymmetricOperatorError, match=r"symmetry defect .* exceeds"):
        measure(matvec, declare=declare)


def test_in_chunks_too():
    def matvec(entries, v):
        return jnp.mean(entries) * jnp.roll(v, 1)

    with pytest.raises(spectra.NonSymmetricOperatorError, match=r"symmetry defect .* exceeds"):
        measure(matvec, declare=spectra.linear, chunk_size=SIZE // 3)


@pytest.mark.parametrize("declare", [spectra.symmetric, spectra.linear])
def test_the_symmetric_one_beside_it_is_measured(declare):
    data = measure(lambda entries, v: entries * v, declare=declare).dataset
    assert data.sizes["start"] == 4  # not the single exact run of the dense path
    np.testing.assert_allclose(data.highest, SIZE - 1, atol=float(data.highest_error) + 0.1)
