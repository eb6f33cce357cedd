"""Precisions of matrix products on accelerators, by the names that JAX has for them."""

import jax

PRECISIONS = {"float32": 0.0, "tensorfloat32": 2.0**-10, "bfloat16": 2.0**-7}
"""By name the largest relative error of what is multiplied, beyond float32's own."""


def coarseness(precision: str) -> float:
    """What products of float32 may round at this precision, beyond float32's own eps."""
    return 0.0 if jax.default_backend() == "cpu" else PRECISIONS.get(precision, 0.0)
