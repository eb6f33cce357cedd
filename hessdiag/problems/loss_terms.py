"""A loss that is a sum of named terms."""

import functools
import operator
from collections.abc import Mapping

from jaxtyping import Array, Float

LossTerms = Mapping[str, Float[Array, ""]]
"""By name, each as it enters the loss: with its sign and its weight."""


def total(terms: LossTerms) -> Float[Array, ""]:
    """The loss: the terms added in their order, and nothing else."""
    return functools.reduce(operator.add, terms.values())
