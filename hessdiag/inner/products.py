"""Products of an operator over stacked inner steps, of any length by one compiled program."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from hessdiag.inner.step import InnerStep
from hessdiag.spectra.operators import Operator, identity_plus


def product_over_steps(steps: InnerStep, first: Int[Array, ""] | int, name: str) -> Operator:
    """The product of an operator over the inner steps from `first` to the last, as a map of theta.

    The augmented operator's goes through the optimiser's memory, which starts at zero and is not
    looked at in the end: all products have one unit. Works under jit, with any `first`.

    Args:
        steps: Linearised inner steps, stacked.
        first: The first inner step of the product.
        name: Which operator of a step, as `named_operator` wants it.

    Returns:
        The product as I + N, the newest factor on the left (Bonnet et al. 2021, eq. 11).
    """
    n, size = len(steps.gradient), steps.params.size

    def shift(j) -> Operator:
        minus_identity = named_operator(step_at(steps, j), name).minus_identity
        assert minus_identity is not None
        return minus_identity

    domain = shift(0).domain

    def chained(factor: Callable) -> Callable:
        """The change that the factors make to a vector, one after the other."""

        def change(v):
            start = jnp.zeros(domain.size, domain.dtype).at[:size].set(v)
            return jax.lax.fori_loop(
                first, n, lambda j, e: e + factor(j).product(start + e), jnp.zeros_like(start)
            )[:size]

        return change

    back = chained(lambda j: shift(n - 1 + first - j).T)
    return identity_plus(Operator(chained(shift), back, steps.params, steps.params))


def named_operator(step: InnerStep, name: str) -> Operator:
    """An operator of an inner step, by the name that people use, such as "semi-gradient"."""
    return getattr(step, name.replace("-", "_"))


def step_at(steps: InnerStep, j: Int[Array, ""] | int) -> InnerStep:
    """Step j of stacked ones; j may be traced."""
    return jax.tree.map(lambda leaf: leaf[j], steps)
