"""Operators that compute in narrow numbers inside products on float32."""

import jax
import jax.numpy as jnp

from hessdiag.spectra import Operator, symmetric


def of_matrix(matrix: jax.Array) -> Operator:
    """A dense matrix that multiplies vectors rounded to bfloat16, and rounds the products."""

    def product(v):
        image = jnp.matmul(matrix, v.astype(jnp.bfloat16).astype(v.dtype), precision="highest")
        return image.astype(jnp.bfloat16).astype(v.dtype)

    return symmetric(product, matrix[0])
