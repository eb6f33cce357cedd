"""Random streams by name: no integer is folded into a key anywhere else.

Streams of a sample depend on its key and on the step alone, so that unrolls of different lengths
share their beginnings (common random numbers).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

_OF_WHOLE_UNROLLS = 2**31  # above the numbers of any unroll's steps


class RunKeys(NamedTuple):
    """The randomness of one run."""

    seed: int
    init: PRNGKeyArray
    train: PRNGKeyArray
    probe: PRNGKeyArray
    lanczos: PRNGKeyArray


class Sources(NamedTuple):
    """A key for every rollout of an unroll, independent of one another."""

    inner: PRNGKeyArray  # (n,), of τ^(0) … τ^(n−1)
    validation: PRNGKeyArray  # (n, R), of R draws of each of τ̃^(1) … τ̃^(n)


def run_keys(seed: int) -> RunKeys:
    """The keys of a seed."""
    return RunKeys(seed, *jax.random.split(jax.random.key(seed), 4))


def initial_eta(init: PRNGKeyArray) -> PRNGKeyArray:
    """What η starts from; parameters and environments start from `RunKeys.init` itself."""
    return jax.random.fold_in(init, 1)


def iteration(keys: PRNGKeyArray, number: Int[Array, ""] | int) -> PRNGKeyArray:
    """The key of an iteration, from the key of a run, or from those of several."""
    if not keys.shape:
        return jax.random.fold_in(keys, number)
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)


def samples(probe: PRNGKeyArray, number: int, count: int) -> PRNGKeyArray:
    """Keys of the samples of the probe at an iteration."""
    return jax.random.split(iteration(probe, number), count)


def start_vectors(lanczos: PRNGKeyArray, number: int) -> PRNGKeyArray:
    """Of all spectra of the probe at an iteration."""
    return samples(lanczos, number, 1)[0]


def sources(key: PRNGKeyArray, n: int, *, validations: int = 1) -> Sources:
    """The sources behind a sample's key; those with more validations hold those with fewer."""
    steps = jnp.arange(n)

    def validation(i):
        first = jax.random.fold_in(key, 2 * i + 1)
        others = jax.vmap(lambda r: jax.random.fold_in(first, r))(jnp.arange(1, validations))
        return jnp.concatenate([first[None], others]) if validations > 1 else first[None]

    inner = jax.vmap(lambda j: jax.random.fold_in(key, 2 * j))(steps)
    return Sources(inner, jax.vmap(validation)(steps + 1))


def beside(lanczos: PRNGKeyArray, number: int) -> PRNGKeyArray:
    """Of what is measured beside meta-gradients and spectra by the probe at an iteration."""
    return jax.random.fold_in(start_vectors(lanczos, number), 2**31)


def first_rollout(probe: PRNGKeyArray, number: int, count: int) -> PRNGKeyArray:
    """Of τ^(0) of the first of `count` samples of the probe at an iteration."""
    return sources(samples(probe, number, count)[0], 1).inner[0]


def share_one(of: Sources, others: Sources, j: Int[Array, ""] | int) -> Sources:
    """`others`, but with τ^(j) drawn as in `of`."""
    here = jnp.arange(len(others.inner)) == j
    return others._replace(inner=jnp.where(here, of.inner, others.inner))


def nested(key: PRNGKeyArray, n: int) -> PRNGKeyArray:
    """Of unrolls of n steps that share one step with a sample's, and nothing else."""
    return jax.random.fold_in(key, 2 * n + 3)


def apart(key: PRNGKeyArray, n: int) -> PRNGKeyArray:
    """Of an unroll of n steps beside a sample's, which shares nothing with it."""
    return jax.random.fold_in(key, 2 * n + 4)


def _below_whole_unrolls(label: int) -> Callable[[PRNGKeyArray], PRNGKeyArray]:
    return lambda key: jax.random.fold_in(key, jnp.uint32(_OF_WHOLE_UNROLLS - label))


deflation = _below_whole_unrolls(1)  # start vectors of the eigenpairs that cuts leave out
start = _below_whole_unrolls(2)  # where a sample's unroll starts, if it starts again
directions = _below_whole_unrolls(3)  # in η, that evolution strategies try
twins = _below_whole_unrolls(4)  # directions in θ, that twins of an unroll are moved along


def numbered(key: PRNGKeyArray, k: Int[Array, ""] | int) -> PRNGKeyArray:
    """The k-th key of a stream that has one for each inner step, operator or unroll."""
    return jax.random.fold_in(key, k)


class LoopKeys(NamedTuple):
    """Start vectors and probes of the spectra along one inner loop."""

    hessians: PRNGKeyArray
    operators: PRNGKeyArray
    products: PRNGKeyArray
    paths: PRNGKeyArray
    rounding: PRNGKeyArray  # moves of the states by one eps
    edge: PRNGKeyArray


def along_inner_loop(key: PRNGKeyArray) -> LoopKeys:
    """The streams of one inner loop's spectra."""
    hessians, operators, products = jax.random.split(key, 3)
    paths, rounding, edge = (jax.random.fold_in(key, k) for k in (3, 4, 5))
    return LoopKeys(hessians, operators, products, paths, rounding, edge)


def averaged(key: PRNGKeyArray, more: int) -> PRNGKeyArray:
    """Of the further samples that a Monte-Carlo meta-gradient averages (eq. 9)."""
    labels = jnp.uint32(_OF_WHOLE_UNROLLS) + jnp.arange(more, dtype=jnp.uint32)
    return jax.vmap(lambda label: jax.random.fold_in(key, label))(labels)


def target(validation: PRNGKeyArray, updates: int) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """Of the updates that a bootstrapped objective's target makes, and of the states compared."""
    making, comparing = jax.random.split(validation)
    return jax.random.split(making, updates), comparing
