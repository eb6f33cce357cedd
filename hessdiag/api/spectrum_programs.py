"""The compiled programs behind one spectrum."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float, PyTree

from hessdiag import spectra
from hessdiag.api.kept import kept

Loss = Callable[[PyTree[Float[Array, "..."]], Any], Float[Array, ""]]
"""(params, batch) -> scalar."""

Build = Callable[[PyTree[Float[Array, "..."]], Any], spectra.Operator]
"""(params, batch) -> an operator on the space of params."""


class SpectrumPrograms:
    """Products of one operator, inside programs that are compiled at first use.

    Whatever is a number, parameters, batch, tolerance and keys, is an argument: the loss is traced
    again only where shapes, dtypes or structures change.

    Args:
        loss: Whose Hessian is meant; unused where there is an operator.
        operator: Another operator, or None.
        chunk_size: Examples per chunk, or None.

    Attributes:
        repeats: (params, batch, v) -> whether the product of a flat vector v is the same each time.
        product: (params, batch, v) -> that product.
        matrix: (params, batch) -> the dense matrix (d, d).
        decompositions: (params, batch, key, tolerance, starts=, matvecs=) -> Lanczos runs, stacked.
        trace: (params, batch, key, matvecs=) -> an estimate from about so many products.
    """

    def __init__(self, loss: Loss | None, operator: Build | None, chunk_size: int | None):
        if operator is not None:
            self._build = _declared(operator, chunk_size)
        else:
            assert loss is not None
            self._build = _hessian(loss, chunk_size)
        self.repeats = spectra.repeat_check(lambda p, b, v: self._build(p, b).product(v))
        self.product = jax.jit(lambda p, b, v: self._build(p, b).product(v))
        self.matrix = jax.jit(lambda p, b: spectra.dense_matrix(self._build(p, b)))
        self.decompositions = jax.jit(self._decomposed, static_argnames=("starts", "matvecs"))
        self.trace = jax.jit(self._traced, static_argnames="matvecs")

    def _decomposed(self, params, batch, key, tolerance, *, starts, matvecs):
        operator = self._build(params, batch)
        vectors = jax.random.normal(key, (starts, operator.size), operator.dtype)
        return jax.lax.map(
            lambda v: spectra.lanczos(
                operator, v, max_matvecs=matvecs, min_matvecs=matvecs, tolerance=tolerance
            ),
            vectors,
        )

    def _traced(self, params, batch, key, *, matvecs):
        num_matvecs = max(4, matvecs // 2 * 2)
        return spectra.xtrace(self._build(params, batch), key, num_matvecs=num_matvecs)


@kept
def spectrum_programs(
    loss: Loss | None, operator: Build | None, chunk_size: int | None
) -> SpectrumPrograms:
    """The programs of these arguments, which `SpectrumPrograms` explains, or those kept of them."""
    return SpectrumPrograms(loss, operator, chunk_size)


def _hessian(loss: Loss, chunk_size: int | None) -> Build:
    if chunk_size is not None:
        loss = spectra.chunked(loss, chunk_size)
    return lambda params, batch: spectra.hessian(lambda p: loss(p, batch), params)


def _declared(operator: Build, chunk_size: int | None) -> Build:
    """The same (params, batch) -> operator, declared symmetric: every run measures whether it is.

    Inside a program, where its products are not yet numbers, nothing could be measured.
    """

    def symmetric(params, batch) -> spectra.Operator:
        return dataclasses.replace(_on_params(operator(params, batch), params), is_symmetric=True)

    return symmetric if chunk_size is None else spectra.chunked_operator(symmetric, chunk_size)


def _on_params(operator: spectra.Operator, params) -> spectra.Operator:
    size = spectra.Space.like(params).size
    if (operator.domain.size, operator.codomain.size) != (size, size):
        raise ValueError(
            f"operator= maps {operator.domain.size} numbers to {operator.codomain.size}; allowed: "
            f"a symmetric map of the {size} of params to as many"
        )
    return operator
