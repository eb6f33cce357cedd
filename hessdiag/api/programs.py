"""The programs behind the front door, compiled at first use, kept from one call to the next.

Whatever is a number, parameters, batches, tolerance and keys, is an argument of a program: a loss
is traced again only where shapes, dtypes or structures change.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from hessdiag import spectra
from hessdiag.inner import InnerState, InnerUpdate, linearised_step
from hessdiag.inner.update import LossWithoutEta
from hessdiag.probes.inner_loop import InnerLoop, InnerLoopSettings

NUM_KEPT = 4
"""Programs kept of each kind: enough to take turns with a few operators of one loss.

Few, for as long as a program is kept, so is all that its loss closes over, and its constants.
"""

Loss = Callable[[PyTree[Float[Array, "..."]], Any], Float[Array, ""]]
"""(params, batch) -> scalar."""

Build = Callable[[PyTree[Float[Array, "..."]], Any], spectra.Operator]
"""(params, batch) -> an operator on the space of params."""


def kept[Made](make: Callable[..., Made]) -> Callable[..., Made]:
    """The same function of positional arguments, which remembers what it made of the last ones.

    Equal arguments are the same. Where one cannot be hashed, such as a callable that holds arrays,
    all is made anew at each call.
    """
    remembered = functools.lru_cache(maxsize=NUM_KEPT)(make)

    @functools.wraps(make, updated=())
    def make_or_remember(*arguments: Hashable) -> Made:
        try:
            hash(arguments)
        except TypeError:
            return make(*arguments)
        return remembered(*arguments)

    return make_or_remember


class SpectrumPrograms:
    """Products of a loss's Hessian or of another operator, inside programs.

    Attributes:
        repeats: (params, batch, v) -> whether the product of a flat vector v is the same each time.
        product: (params, batch, v) -> that product.
        matrix: (params, batch) -> the dense matrix (d, d), and the eps of its narrowest numbers.
        decompositions: (params, batch, key, tolerance, starts=, matvecs=) -> Lanczos runs, stacked.
        trace: (params, batch, key, matvecs=) -> an estimate from about so many products.
        loss: (params, batch) -> the loss, in chunks where there are any; None for an operator.
        in_other_chunks: the same in chunks of another size; None where there are none.
    """

    def __init__(self, loss: Loss | None, operator: Build | None, chunk_size: int | None):
        if operator is not None:
            self._build = _declared(operator, chunk_size)
        else:
            assert loss is not None
            self._build = _hessian(loss, chunk_size)
        self.loss = None if loss is None else jax.jit(_chunked(loss, chunk_size))
        self.in_other_chunks = None
        if loss is not None and chunk_size is not None:
            self.in_other_chunks = jax.jit(_chunked(loss, chunk_size // 2 or 2))
        self.repeats = spectra.repeat_check(lambda p, b, v: self._build(p, b).product(v))
        self.product = jax.jit(lambda p, b, v: self._build(p, b).product(v))
        self.matrix = jax.jit(self._matrix)
        self._moved = jax.jit(spectra.moved)
        self.decompositions = jax.jit(self._decomposed, static_argnames=("starts", "matvecs"))
        self.trace = jax.jit(self._traced, static_argnames="matvecs")

    def dense(self, params, batch, key) -> spectra.RitzValues:
        """The whole spectrum, with what moving the parameters by their rounding does to it."""
        matrix, unit = self.matrix(params, batch)
        points = [self._moved(params, k, unit) for k in jax.random.split(key)]
        nearby = [np.asarray(self.matrix(point, batch)[0]) for point in points]
        return spectra.matrix_spectrum(np.asarray(matrix), nearby=nearby)

    def _matrix(self, params, batch):
        operator = self._build(params, batch)
        vector = jnp.zeros(operator.size, operator.dtype)
        unit = spectra.rounding_unit(operator.product, vector)
        return spectra.dense_matrix(operator), unit

    def _decomposed(self, params, batch, key, tolerance, *, starts, matvecs):
        operator = self._build(params, batch)
        vectors = jax.random.normal(key, (starts, operator.size), operator.dtype)
        options = {"max_matvecs": matvecs, "min_matvecs": matvecs, "tolerance": tolerance}
        return jax.lax.map(lambda v: spectra.lanczos(operator, v, **options), vectors)

    def _traced(self, params, batch, key, *, matvecs):
        num_matvecs = max(4, matvecs // 2 * 2)
        return spectra.sketched_trace(self._build(params, batch), key, num_matvecs=num_matvecs)


class InnerLoopPrograms:
    """One inner loop's run and measurement, inside programs.

    Attributes:
        repeats: (state, batch) -> whether gradient and update are the same each time.
        points: (state, stacked batches) -> the points of the inner steps, for `loop`.
        loop: Measures them.
    """

    def __init__(self, update: InnerUpdate, chunk_size: int | None, settings: InnerLoopSettings):
        if chunk_size is not None:
            assert isinstance(update.loss, LossWithoutEta)
            chunked = LossWithoutEta(spectra.chunked(update.loss.loss, chunk_size))
            update = dataclasses.replace(update, loss=chunked)
        self.repeats = spectra.repeat_check(
            lambda state, batch: (update.gradient(state[0], None, batch), update(state, batch))
        )
        self.points = jax.jit(lambda state, batches: _points(update, state, batches))
        self.loop = InnerLoop(lambda point: linearised_step(update, *point), settings)


spectrum_programs = kept(SpectrumPrograms)
inner_loop_programs = kept(InnerLoopPrograms)


def _chunked(loss: Loss, chunk_size: int | None) -> Loss:
    whole = loss if chunk_size is None else spectra.chunked(loss, chunk_size)
    return lambda params, batch: whole(params, batch)  # a loss need not be hashable


def _hessian(loss: Loss, chunk_size: int | None) -> Build:
    whole = _chunked(loss, chunk_size)
    return lambda params, batch: spectra.hessian(lambda p: whole(p, batch), params)


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


def _points(update: InnerUpdate, state, batches):
    def step(state, batch):
        return update(state, batch), state

    _, states = jax.lax.scan(step, InnerState(*state), batches)
    return states, batches
