"""The outer gradient against a held sensitivity, by dense matrices."""

import jax
import numpy as np

from hessdiag.meta import all_horizons, outer_growth, sources
from tests.meta.conftest import N
from tests.oracles.eq11_terms import DenseUnroll


def test_the_outer_gradients_read_the_first_sensitivity(adam_mrp):
    """At every horizon that of one update, clipped and through Adam, dead units and all."""
    case = adam_mrp
    drawn = sources(case.key, N)
    made = np.asarray(jax.jit(lambda: outer_growth(case.system, case.start, drawn))())
    dense = DenseUnroll(case)
    _, by_gradient, _, _, mixed, _ = dense.steps[0]
    sensitivity = by_gradient @ mixed
    expected = np.stack([dense.outer_gradient(i) @ sensitivity for i in range(1, N + 1)])
    np.testing.assert_allclose(made, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
    one_step = all_horizons(case.system, case.start, case.key, n=1)[0]
    np.testing.assert_allclose(made[0], one_step, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
