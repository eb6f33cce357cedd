"""Which eigenpairs the deflation leaves out, at the depth that runs use and at full depth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.meta import FULL
from hessdiag.meta.outliers import outliers, without
from hessdiag.meta.paths import STABLE

ALPHA, SIZE = 0.1, 60
UNSTABLE = (-8.0, -3.0, -1.0, 25.0, 40.0)  # of ∇²L: H = −α∇²L is above 0, or below −2


@pytest.fixture(scope="module")
def hessian():
    """Five unstable eigenvalues, and a bulk that begins at a fiftieth of the smallest of them."""
    values = np.concatenate([UNSTABLE, np.linspace(0.02, 10.0, SIZE - len(UNSTABLE))])
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(SIZE, SIZE)))
    return jnp.asarray(basis * values @ basis.T, jnp.float32)


def found(hessian, matvecs):
    return outliers(
        lambda v: hessian @ v,
        jnp.zeros(SIZE),
        jax.random.key(0),
        alpha=ALPHA,
        inside=STABLE,
        matvecs=matvecs,
    )


def unstable_left(hessian, made):
    """Eigenvalues of what the deflation leaves that are outside, beyond what pairs resolve."""
    slack = 0.005 * ALPHA * max(UNSTABLE)
    left = jax.vmap(lambda v: without(made, v, hessian @ v))(jnp.eye(SIZE))
    values = np.linalg.eigvalsh(np.asarray(left, np.float64))
    return values[(-ALPHA * values < STABLE[0] - slack) | (-ALPHA * values > STABLE[1] + slack)]


def test_what_runs_look_for_are_eigenpairs_and_the_outermost_ones(hessian):
    made = found(hessian, FULL.matvecs)
    number = int(made.number)
    assert 2 <= number <= len(UNSTABLE)
    kept = np.asarray(made.values)[np.asarray(made.values) != 0]
    nearest = [min(UNSTABLE, key=lambda one, value=value: abs(one - value)) for value in kept]
    np.testing.assert_allclose(kept, nearest, atol=1e-2)
    assert len(set(nearest)) == number
    assert {-8.0, 40.0} <= set(nearest)
    left = unstable_left(hessian, made)
    assert len(left) == len(UNSTABLE) - number
    assert np.abs(left).max(initial=0.0) < 40.0


def test_a_run_as_long_as_the_space_leaves_nothing_unstable(hessian):
    made = found(hessian, SIZE)
    assert sorted(np.asarray(made.values)[np.asarray(made.values) != 0]) == pytest.approx(
        sorted(UNSTABLE), rel=1e-3
    )
    assert unstable_left(hessian, made).size == 0


def test_a_stable_hessian_is_left_as_it_is():
    hessian = jnp.diag(jnp.linspace(0.5, 15.0, SIZE))
    made = found(hessian, FULL.matvecs)
    assert int(made.number) == 0
    v = jnp.ones(SIZE)
    np.testing.assert_array_equal(without(made, v, hessian @ v), hessian @ v)
