"""Linear maps known only by their products: composable, transposable, on flat vectors or pytrees.

Algorithms work on flat vectors; people think in pytrees. An operator's domain and codomain know
how to go from one to the other, and a product comes back in the form its vector came in.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from hessdiag.spectra.spaces import Space, is_flat

Product = Callable[[Float[Array, " n"]], Float[Array, " k"]]


class NotTransposableError(TypeError):
    """The transpose of an operator was asked for that has none."""


@dataclasses.dataclass(frozen=True)
class Operator:
    """A linear map A, known by its products alone.

    Operators are made by `symmetric`, `linear`, `identity_plus`, `hessian` and their like, and
    combined by `+`, `-`, `*` (a number), `@` and `.T`.

    Attributes:
        product: v -> A v on flat vectors; pure, so that two calls give identical results.
        transposed: u -> A' u on flat vectors; None where there is no transpose.
        domain: Where v lives.
        codomain: Where A v lives.
        is_symmetric: Declared symmetric; algorithms that need it measure whether it is true.
        minus_identity: N with A = I + N, where A is so close to the identity that A v - v would
            lose the digits of N v. None elsewhere.
    """

    product: Product
    transposed: Product | None
    domain: Space
    codomain: Space
    is_symmetric: bool = False
    minus_identity: "Operator | None" = None

    @property
    def size(self) -> int:
        """Dimension of the domain."""
        return self.domain.size

    @property
    def dtype(self) -> Any:
        """Dtype of the flat vectors, which also sets the precision of the products."""
        return self.domain.dtype

    @property
    def is_square(self) -> bool:
        """Whether domain and codomain have one size."""
        return self.domain.size == self.codomain.size

    def matvec(self, v: PyTree[Float[Array, "..."]]) -> PyTree[Float[Array, "..."]]:
        """A v.

        Args:
            v: A flat vector (d,), of JAX or of NumPy, or a pytree of the domain. A column (d, 1) of
                NumPy is a vector, too: SciPy's `LinearOperator` passes both.

        Returns:
            A flat vector, a column, or a pytree of the codomain: the form that `v` has.

        Raises:
            ValueError: If `v` is no vector of the domain, see `Space.ravel`.
        """
        return _in_form(self.product, self.domain, self.codomain, v)

    def rmatvec(self, u: PyTree[Float[Array, "..."]]) -> PyTree[Float[Array, "..."]]:
        """A' u; arguments as those of `matvec`, with domain and codomain exchanged.

        Raises:
            NotTransposableError: If the operator has no transpose.
        """
        return self.T.matvec(u)

    @property
    def T(self) -> "Operator":
        """The transpose A'.

        Raises:
            NotTransposableError: If the operator has none.
        """
        if self.is_symmetric:
            return self
        if self.transposed is None:
            raise NotTransposableError(
                "this operator was made without the product of its transpose"
            )
        shift = self.minus_identity
        return Operator(
            product=self.transposed,
            transposed=self.product,
            domain=self.codomain,
            codomain=self.domain,
            minus_identity=None if shift is None or not shift.has_transpose else shift.T,
        )

    @property
    def has_transpose(self) -> bool:
        """Whether `T` and `rmatvec` work."""
        return self.is_symmetric or self.transposed is not None

    def __matmul__(self, other: "Operator") -> "Operator":
        """The composition: first `other`, then this one."""
        if self.domain.size != other.codomain.size:
            raise ValueError(
                f"cannot compose a map from {self.domain.size} entries "
                f"with one to {other.codomain.size}"
            )
        outer, inner = self.minus_identity, other.minus_identity
        if outer is not None and inner is not None:
            return identity_plus(_composed_shift(outer, inner))
        return Operator(
            product=lambda v: self.product(other.product(v)),
            transposed=_transposed(lambda a, b: lambda u: b(a(u)), self, other),
            domain=other.domain,
            codomain=self.codomain,
        )

    def __add__(self, other: "Operator") -> "Operator":
        if (self.domain.size, self.codomain.size) != (other.domain.size, other.codomain.size):
            raise ValueError("cannot add operators of different sizes")
        if self.dtype != other.dtype:
            raise ValueError(f"cannot add operators on {self.dtype} and {other.dtype}")
        return Operator(
            product=lambda v: self.product(v) + other.product(v),
            transposed=_transposed(lambda a, b: lambda u: a(u) + b(u), self, other),
            domain=self.domain,
            codomain=self.codomain,
            is_symmetric=self.is_symmetric and other.is_symmetric,
        )

    def __mul__(self, factor: Float[Array, ""] | float) -> "Operator":

        def scaled(product: Product) -> Product:
            return lambda v: jnp.asarray(factor, self.dtype) * product(v)

        return Operator(
            product=scaled(self.product),
            transposed=_transposed(scaled, self),
            domain=self.domain,
            codomain=self.codomain,
            is_symmetric=self.is_symmetric,
        )

    __rmul__ = __mul__

    def __neg__(self) -> "Operator":
        return self * -1.0

    def __sub__(self, other: "Operator") -> "Operator":
        return self + -other


def symmetric(
    matvec: Callable[[PyTree[Float[Array, "..."]]], PyTree[Float[Array, "..."]]],
    like: PyTree[Float[Array, "..."]],
) -> Operator:
    """A symmetric map, from its product.

    Args:
        matvec: v -> A v on pytrees.
        like: A pytree of the shapes and dtypes of v; its values do not matter.
    """
    space = Space.like(like)

    def product(v):
        return space.ravel(matvec(space.unravel(v)))

    return Operator(product, None, space, space, is_symmetric=True)


def linear(
    matvec: Callable[[PyTree[Float[Array, "..."]]], PyTree[Float[Array, "..."]]],
    like: PyTree[Float[Array, "..."]],
    *,
    rmatvec: Callable[[PyTree[Float[Array, "..."]]], PyTree[Float[Array, "..."]]] | None = None,
) -> Operator:
    """Any linear map, from its product; JAX transposes it unless `rmatvec` is given.

    Args:
        matvec: v -> A v on pytrees, linear.
        like: A pytree of the shapes and dtypes of v; its values do not matter.
        rmatvec: u -> A' u on pytrees.
    """
    domain = Space.like(like)
    example = jax.ShapeDtypeStruct((domain.size,), domain.dtype)
    codomain = Space.like(jax.eval_shape(lambda v: matvec(domain.unravel(v)), example))

    def product(v):
        return codomain.ravel(matvec(domain.unravel(v)))

    def transposed(u):
        if rmatvec is not None:
            return domain.ravel(rmatvec(codomain.unravel(u)))
        return jax.linear_transpose(product, example)(u)[0]

    return Operator(product, transposed, domain, codomain)


def diagonal(entries: PyTree[Float[Array, "..."]]) -> Operator:
    """Multiplication by `entries`, entry by entry."""
    space = Space.like(entries)
    flat = space.ravel(entries)
    return Operator(lambda v: flat * v, None, space, space, is_symmetric=True)


def identity_plus(shift: Operator) -> Operator:
    """I + N, which remembers N: `@` and `.T` then never form I + N, and no digit of N is lost.

    Args:
        shift: The square map N.
    """
    if not shift.is_square:
        raise ValueError("I + N needs a square N")
    return Operator(
        product=lambda v: v + shift.product(v),
        transposed=_transposed(lambda a: lambda u: u + a(u), shift),
        domain=shift.domain,
        codomain=shift.codomain,
        is_symmetric=shift.is_symmetric,
        minus_identity=shift,
    )


def _composed_shift(outer: Operator, inner: Operator) -> Operator:
    """(I + M)(I + N) - I = N + M (I + N), with one product of each."""

    def after(first: Product, second: Product) -> Product:
        def product(v):
            change = first(v)
            return change + second(v + change)

        return product

    return Operator(
        product=after(inner.product, outer.product),
        transposed=_transposed(after, outer, inner),
        domain=inner.domain,
        codomain=outer.codomain,
    )


def _transposed(make: Callable[..., Product], *operators: Operator) -> Product | None:
    """What `make` makes of the operators' transposed products; None where one has none."""
    if not all(operator.has_transpose for operator in operators):
        return None
    return make(*(operator.T.product for operator in operators))


def _in_form(product: Product, domain: Space, codomain: Space, v):
    """Apply a product to a flat vector, to a column of NumPy, or to a pytree."""
    if isinstance(v, jax.Array) and v.shape == (domain.size,):
        return product(v)
    if is_flat(v, domain.size):
        return product(domain.ravel(v))
    if isinstance(v, np.ndarray) and v.shape == (domain.size, 1) and not domain.holds(v):
        return product(domain.ravel(v[:, 0]))[:, None]
    return codomain.unravel(product(domain.ravel(v)))
