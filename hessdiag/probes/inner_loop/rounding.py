"""How far rounding moves what an inner loop's operators do to the vectors that answers rest on.

Optimisers cancel: Adam's first response to a gradient is what two numbers of size alpha / |g| leave
of each other, gradient accumulation leaves less still, and near a minimum a gradient has few
digits. A product is then wrong by far more than its own eps, and by the same for every vector. So
the loop is linearised again where the floats of its states are moved by about one eps each, or by
what coarser matrix products round, so that everything is rounded anew, and the products are
compared.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered
from jaxtyping import Array, Float, Key, PyTree

from hessdiag import spectra
from hessdiag.inner.precision import coarseness
from hessdiag.inner.products import named_operator, product_over_steps, step_at
from hessdiag.inner.step import InnerStep
from hessdiag.probes.inner_loop.edges import preconditioned_hessian
from hessdiag.probes.inner_loop.norms import gradient_path
from hessdiag.spectra.operators import Operator

NUM_MOVES = 3
MAGNIFIED = 6.0
"""Noise over the largest distance seen in `NUM_MOVES` random moves.

Were what rounding does a normal number, and a random move another one, this would be too little
once in 280 times. Of 40 recurrent networks, which amplify rounding most, two moves and a factor of
4 were too little for one.
"""

Vectors = dict[str, Float[Array, "n k"]]


class Asked(NamedTuple):
    """Vectors of unit length by operator."""

    scales: Vectors  # of balancing, a row per inner step
    radii: Vectors  # balanced, a row per inner step
    products: Vectors  # a row for each of P_1 .. P_n
    others: Vectors  # of `OTHERS`, a row per inner step, or of the first one alone


class Noise(NamedTuple):
    """Noise of the products of these vectors, by operator."""

    radii: dict[str, Float[np.ndarray, " n"]]
    products: dict[str, Float[np.ndarray, " n"]]
    others: dict[str, Float[np.ndarray, " n"]]


OTHERS: dict[str, Callable[[InnerStep, Any], Operator]] = {
    "hessian": lambda steps, j: step_at(steps, j).hessian,
    "edge": lambda steps, j: preconditioned_hessian(step_at(steps, j)),
    "path": gradient_path,
}
"""Operators of the inner step j by name."""


class Rounding:
    """Measures noise; the programs are compiled at first use.

    Args:
        linearise: Stacked points, whose first entry is the state, -> stacked steps.
    """

    def __init__(self, linearise: Callable[[Any], InnerStep]):
        self._linearise = linearise
        self._images = jax.jit(_images)
        self._move = jax.jit(_moved, static_argnames="coarse")

    def lowered(
        self,
        points: PyTree[Array],
        steps: InnerStep,
        names: tuple[str, ...],
        products: tuple[str, ...],
        others: Sequence[str],
        key: Key[Array, ""],
    ) -> Iterator[Lowered]:
        """What `measure` will run, to be compiled; of these operators, products and others."""
        yield self._move.lower(points, key, coarse=coarseness(steps.precision))
        radii = _vectors(steps, names, through_memory=True)
        along = _vectors(steps, (*products, *others), through_memory=False)
        if "edge" in along:
            along["edge"] = jax.ShapeDtypeStruct((1, *along["edge"].shape[1:]), along["edge"].dtype)
        asked = Asked(radii, radii, *({n: along[n] for n in part} for part in (products, others)))
        yield self._images.lower(steps, asked)

    def measure(
        self, points: PyTree[Array], steps: InnerStep, asked: Asked, key: Key[Array, ""]
    ) -> Noise:
        """The noise of every product that is asked about."""
        images = jax.device_get(self._images(steps, asked))
        noise = jax.tree.map(lambda image: np.zeros(len(image)), images)
        coarse = coarseness(steps.precision)
        for own_key in jax.random.split(key, NUM_MOVES):
            again = self._images(self._linearise(self._move(points, own_key, coarse=coarse)), asked)
            apart = jax.tree.map(_distance, images, jax.device_get(again))
            noise = jax.tree.map(lambda a, b: np.maximum(a, MAGNIFIED * b), noise, apart)
        return noise


def _vectors(steps: InnerStep, names: tuple[str, ...], *, through_memory: bool) -> dict[str, Any]:
    """Shapes of vectors by operator, a row per inner step."""
    n, size = steps.gradient.shape

    def rows(name: str) -> jax.ShapeDtypeStruct:
        more = steps.memory.size if through_memory and name == "augmented" else 0
        return jax.ShapeDtypeStruct((n, size + more), steps.gradient.dtype)

    return {name: rows(name) for name in names}


def _images(steps: InnerStep, asked: Asked) -> Noise:
    """N x for every vector x, and A x of the others."""

    def of_step(name, inputs):
        j, scale, vector = inputs
        operator = spectra.balanced(named_operator(step_at(steps, j), name), scale)
        assert operator.minus_identity is not None
        return operator.minus_identity.product(vector)

    def of_product(name, inputs):
        first, vector = inputs
        shift = product_over_steps(steps, first, name).minus_identity
        assert shift is not None
        return shift.product(vector)

    n = len(steps.gradient)
    numbers, firsts = jnp.arange(n), n - jnp.arange(n)
    radii = {
        name: jax.lax.map(
            lambda at, name=name: of_step(name, at), (numbers, asked.scales[name], vectors)
        )
        for name, vectors in asked.radii.items()
    }
    products = {
        name: jax.lax.map(lambda at, name=name: of_product(name, at), (firsts, vectors))
        for name, vectors in asked.products.items()
    }
    others = {
        name: jax.lax.map(
            lambda at, name=name: OTHERS[name](steps, at[0]).product(at[1]),
            (numbers[: len(vectors)], vectors),
        )
        for name, vectors in asked.others.items()
    }
    return Noise(radii, products, others)


def _moved(points: PyTree[Array], key: Key[Array, ""], *, coarse: float) -> PyTree[Array]:
    """The points with every float of their states one eps larger or smaller.

    Floats that accelerators round more coarsely before they multiply them, by that much.
    """
    state, *others = points
    leaves, structure = jax.tree.flatten(state)
    keys = jax.random.split(key, len(leaves))

    def moved(leaf: Array, key: Key[Array, ""]) -> Array:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        signs = jax.random.rademacher(key, leaf.shape, leaf.dtype)
        number = jnp.finfo(leaf.dtype)
        unit = number.eps if number.bits > 32 else max(number.eps, coarse)
        return leaf * (1 + unit * signs)

    return (structure.unflatten(list(map(moved, leaves, keys))), *others)


def _distance(image: np.ndarray, again: np.ndarray) -> Float[np.ndarray, " n"]:
    return np.linalg.norm(np.asarray(again, np.float64) - image, axis=-1)
