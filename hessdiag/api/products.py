"""Compiled products of a loss's Hessian, or of another operator, kept from one call to the next.

Two small programs: one prepares what all products at a point have in common, the other multiplies.
Parameters, batches and whatever a function closes over are their operands. At every call the
function is traced anew, which is quick, and what it computes now decides which programs serve it.
"""

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr
from jaxtyping import Array, Float, PyTree

from hessdiag import spectra
from hessdiag.api.chunks import Loss, in_chunks, values_in_chunks
from hessdiag.api.compilation import on_disk
from hessdiag.api.traced import Traced, signature_of
from hessdiag.api.trainable import Held, OnFloats
from hessdiag.spectra.checks import same

NUM_KEPT = 16
"""Programs kept: enough to take turns with a few losses, shapes and options."""

ROWS = 64  # products at a time, where a matrix is made of them

Build = Callable[[PyTree[Float[Array, "..."]], Any], spectra.Operator]
"""(params, batch) -> an operator on the space of params."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """What is to be measured: the Hessian of a loss, or another operator, whole or in chunks.

    Both take whole pytrees, of which some leaves are held.
    """

    loss: Loss | None
    operator: Build | None
    chunk_size: int | None
    held: Held

    def build(self, params: Any, batch: Any) -> spectra.Operator:
        """The operator at a point, declared symmetric: every run measures whether it is."""
        if self.operator is not None:
            size, build = self.chunk_size, self._declared
            return (build if size is None else spectra.chunked_operator(build, size))(params, batch)
        whole = in_chunks(self._floats_loss(), self.chunk_size)
        return spectra.hessian(lambda p: whole(p, batch), params)

    def values(self, params: Any, batch: Any) -> list[Array]:
        """The loss, and where there are chunks what it is in chunks of another size."""
        if self.loss is None:
            return []
        values = values_in_chunks(self._floats_loss(), self.chunk_size, params, batch)
        return [_one_number(value) for value in values]

    def _floats_loss(self) -> Loss:
        assert self.loss is not None
        return OnFloats(self.loss, self.held) if self.held else self.loss

    def _declared(self, params: Any, batch: Any) -> spectra.Operator:
        assert self.operator is not None
        whole = self.held.whole(params)
        operator, size = self.operator(whole, batch), spectra.Space.like(whole).size
        if not isinstance(operator, spectra.Operator):
            raise TypeError(
                f"operator= returns {type(operator).__name__}; allowed: an operator, such as those "
                "of spectra.gauss_newton, or spectra.symmetric(product, params)"
            )
        if (operator.domain.size, operator.codomain.size) != (size, size):
            raise ValueError(
                f"operator= maps {operator.domain.size} numbers to {operator.codomain.size}; "
                f"allowed: a symmetric map of the {size} of params to as many"
            )
        symmetric = dataclasses.replace(operator, is_symmetric=True)
        return _restricted(symmetric, self.held, whole, params) if self.held else symmetric


class Programs:
    """The programs of one kind of operator, compiled at first use.

    Attributes:
        prepare: (constants, params, batch) -> values of the loss, and what products remember.
        product: (memory, v) -> A v.
        rows: (memory, vectors) -> the product of each row.
    """

    def __init__(self, outer: Traced, inner: Any):
        def product(memory, v):
            return eval_jaxpr(inner, memory, v)[0]

        def prepare(constants, *point):
            return outer(constants, *point)

        self.prepare = jax.jit(prepare)
        self.product = jax.jit(product)
        self.rows = jax.jit(jax.vmap(product, in_axes=(None, 0)))


class Products:
    """One operator at one point: v -> A v on flat vectors, of one compiled program.

    Attributes:
        space: Of the parameters.
        values: The loss, see `Measured.values`.
        narrowest: The narrowest floating dtype that the function computes in.
    """

    def __init__(self, measured: Measured, params: Any, batch: Any):
        self.space = spectra.Space.like(params)
        self._memory, self._point = None, (params, batch)
        outer, inner, signature, floats = _traced(measured, self._point, self.space)
        again = _traced(measured, self._point, self.space)
        if not (outer.same_as(again[0]) and signature == again[2]):
            raise NotDeterministicError
        self._constants = outer.constants
        self.narrowest = min(floats, key=lambda name: jnp.finfo(name).bits, default="float32")
        self._programs = _kept(signature, dataclasses.replace(outer, constants=()), inner)
        self.values: list[float] = []

    @property
    def is_small(self) -> bool:
        """Whether a matrix is made, by rows."""
        return self.space.size <= spectra.DENSE_LIMIT

    def prepare(self) -> None:
        """Evaluate the loss, and remember what all products need.

        Raises:
            NotDeterministicError: It is another one when it runs again.
        """
        size, runs = self.space.size, []
        shape = (min(size, ROWS), size) if self.is_small else size
        probe = np.random.default_rng(0).standard_normal(shape).astype(self.space.dtype)
        with on_disk():
            for _ in range(2):
                self._memory = None  # one at a time
                values, self._memory = self._programs.prepare(self._constants, *self._point)
                image = self.rows(probe) if self.is_small else self(probe)
                runs.append((values, np.asarray(image)))
        if not same(*runs):
            raise NotDeterministicError
        self.values = list(map(float, values))

    def move(self, random: np.random.Generator) -> None:
        """From here on multiply as if parameters were other by what the function rounds.

        A product of a linearised function is linear to a few eps, whatever was rounded on the way
        to its coefficients; parameters moved by as much show that.
        """
        unit = float(jnp.finfo(self.narrowest).eps)
        self._memory = None

        def moved(leaf: Any) -> np.ndarray:
            values = np.asarray(leaf)
            factors = 1 + unit * random.uniform(-1, 1, values.shape)
            return (values * factors).astype(values.dtype)

        params, batch = self._point
        place = jax.tree.map(moved, params), batch
        self._memory = self._programs.prepare(self._constants, *place)[1]

    def __call__(self, v: Any) -> Array:
        """A v, which may still be computed."""
        return self._programs.product(self._memory, v)

    def one(self, v: np.ndarray) -> np.ndarray:
        """A v, by the program that small operators are multiplied by, too."""
        if not self.is_small:
            return np.asarray(self(v))
        block = np.zeros((min(self.space.size, ROWS), self.space.size), v.dtype)
        block[0] = v
        return np.asarray(self.rows(block))[0]  # on the host: a slice would be compiled

    def rows(self, vectors: Any) -> Array:
        """The product of each row of a matrix."""
        return self._programs.rows(self._memory, vectors)


class NotDeterministicError(ValueError):
    """The same product, run or traced again, is another."""


_programs: OrderedDict[tuple, Programs] = OrderedDict()


def _kept(signature: tuple, outer: Traced, inner: Any) -> Programs:
    """The programs of this signature, the last few of which are kept."""
    programs = _programs.pop(signature, None) or Programs(outer, inner)
    if not outer.opaque:  # a callback's own closure cannot be seen
        _programs[signature] = programs
        while len(_programs) > NUM_KEPT:
            _programs.popitem(last=False)
    return programs


def _traced(measured: Measured, point: tuple[Any, Any], space: spectra.Space):
    """What prepares products and what multiplies, both traced anew, and what they compute."""
    inner = []

    def prepared(params, batch):
        values = measured.values(params, batch)  # first, for what is no loss is refused there
        vector = jax.ShapeDtypeStruct((space.size,), space.dtype)
        closed = jax.make_jaxpr(measured.build(params, batch).product)(vector)
        inner.append(closed.jaxpr)
        return values, list(closed.consts)

    outer = Traced.of(prepared, *point)
    signature, opaque, floats = signature_of(inner[-1])
    outer = dataclasses.replace(outer, opaque=outer.opaque or opaque)
    return outer, inner[-1], (outer.signature, signature), outer.floats | floats


def _restricted(
    operator: spectra.Operator, held: Held, whole: Any, params: Any
) -> spectra.Operator:
    """The diagonal block of an operator on whole pytrees that belongs to the free leaves."""
    everywhere, part = spectra.Space.like(whole), spectra.Space.like(params)
    still = [None if leaf is None else jnp.zeros_like(leaf) for leaf in held.others]
    zeros = Held(held.structure, tuple(still))

    def product(v):
        image = operator.product(everywhere.ravel(zeros.whole(part.unravel(v))))
        return part.ravel(held.floats(everywhere.unravel(image)))

    return dataclasses.replace(operator, product=product, domain=part, codomain=part)


def _one_number(value: Any) -> Array:
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(value)]
    if isinstance(value, tuple | list | dict) or shapes != [()]:
        what = f"a {type(value).__name__}" if len(shapes) != 1 else f"shape {shapes[0]}"
        raise ValueError(
            f"loss: returns {what}; allowed: one number, such as the mean over the batch"
        )
    if not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        raise ValueError(f"loss: returns {jnp.result_type(value)}; allowed: a floating number")
    return value
