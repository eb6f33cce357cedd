"""One place for tolerances: c · eps(dtype) · size of the numbers compared."""

import jax
import numpy as np


def assert_close(actual, expected, *, rounding: float = 100.0):
    """Every leaf agrees to `rounding` · eps, relative to the largest entry of its own leaf."""
    actual_leaves, actual_structure = jax.tree.flatten(actual)
    expected_leaves, expected_structure = jax.tree.flatten(expected)
    assert actual_structure == expected_structure
    for a, e in zip(actual_leaves, expected_leaves, strict=True):
        a, e = np.asarray(a), np.asarray(e)
        assert a.shape == e.shape
        assert np.isfinite(a).all()
        scale = max(np.abs(e).max(initial=0.0), np.finfo(e.dtype).tiny)
        eps = max(np.finfo(a.dtype).eps, np.finfo(e.dtype).eps)
        assert np.abs(a - e).max(initial=0.0) <= rounding * eps * scale
