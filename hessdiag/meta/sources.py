"""The randomness of an unroll, source by source: what each rollout draws from."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray


class Sources(NamedTuple):
    """A key for every rollout of an unroll, independent of one another."""

    inner: PRNGKeyArray  # (n,), of τ^(0) … τ^(n−1)
    validation: PRNGKeyArray  # (n, R), of R draws of each of τ̃^(1) … τ̃^(n)


def sources(key: PRNGKeyArray, n: int, *, validations: int = 1) -> Sources:
    """The sources behind `key`.

    Those of a step depend on `key` and the step alone, so that unrolls of different lengths share
    their beginnings (common random numbers), and so do those with more validations.
    """
    steps = jnp.arange(n)

    def validation(i):
        first = jax.random.fold_in(key, 2 * i + 1)
        others = jax.vmap(lambda r: jax.random.fold_in(first, r))(jnp.arange(1, validations))
        return jnp.concatenate([first[None], others]) if validations > 1 else first[None]

    inner = jax.vmap(lambda j: jax.random.fold_in(key, 2 * j))(steps)
    return Sources(inner, jax.vmap(validation)(steps + 1))


def share_one(of: Sources, others: Sources, j: Int[Array, ""] | int) -> Sources:
    """`others`, but with τ^(j) drawn as in `of`."""
    here = jnp.arange(len(others.inner)) == j
    return others._replace(inner=jnp.where(here, of.inner, others.inner))
