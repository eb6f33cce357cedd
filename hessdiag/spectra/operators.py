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
from jaxtyping import Array, Float, Key

from hessdiag.spectra.spaces import Scalar, Space, Tree, is_flat

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
        domain, codomain: Where v and A v live.
        is_symmetric: Declared symmetric; algorithms that need it measure whether it is true.
        minus_identity: N with A = I + N, where A is so close to the identity that A v - v would
            lose the digits of N v. None elsewhere.
        perturbed: Key -> product of A made anew of numbers that are moved by their rounding, where
            A is made of numbers: tells how well they determine it. None elsewhere.
    """

    product: Product
    transposed: Product | None
    domain: Space
    codomain: Space
    is_symmetric: bool = False
    minus_identity: "Operator | None" = None
    perturbed: Callable[[Key[Array, ""]], Product] | None = None

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

    def matvec(self, v: Tree) -> Tree:
        """A v, in the form that v has: a flat vector (d,), of JAX or of NumPy, or a pytree.

        A column (d, 1) of NumPy is a vector, too: SciPy's `LinearOperator` passes both. What is no
        vector of the domain is a ValueError, see `Space.ravel`.
        """
        if isinstance(v, jax.Array) and v.shape == (self.size,):
            return self.product(v)
        if is_flat(v, self.size):
            return self.product(self.domain.ravel(v))
        if isinstance(v, np.ndarray) and v.shape == (self.size, 1) and not self.domain.holds(v):
            return self.product(self.domain.ravel(v[:, 0]))[:, None]
        return self.codomain.unravel(self.product(self.domain.ravel(v)))

    def rmatvec(self, u: Tree) -> Tree:
        """A' u, as `T` has it."""
        return self.T.matvec(u)

    @property
    def T(self) -> "Operator":
        """The transpose A'; NotTransposableError if there is none."""
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
        if self.minus_identity is not None and other.minus_identity is not None:
            return identity_plus(composed_shift(self.minus_identity, other.minus_identity))
        return _combined(lambda a, b: lambda v: b(a(v)), other, self)

    def __add__(self, other: "Operator") -> "Operator":
        if (self.domain.size, self.codomain.size) != (other.domain.size, other.codomain.size):
            raise ValueError("cannot add operators of different sizes")
        if self.dtype != other.dtype:
            raise ValueError(f"cannot add operators on {self.dtype} and {other.dtype}")
        total = _combined(lambda a, b: lambda v: a(v) + b(v), self, other)
        both = self.is_symmetric and other.is_symmetric
        return dataclasses.replace(total, codomain=self.codomain, is_symmetric=both)

    def __mul__(self, factor: Scalar | float) -> "Operator":
        def scaled(product: Product) -> Product:
            return lambda v: jnp.asarray(factor, self.dtype) * product(v)

        kind: dict[str, Any] = {"is_symmetric": self.is_symmetric}
        if (perturbed := self.perturbed) is not None:
            kind["perturbed"] = lambda key: scaled(perturbed(key))
        return _combined(scaled, self, **kind)

    __rmul__ = __mul__

    def __neg__(self) -> "Operator":
        return self * -1.0

    def __sub__(self, other: "Operator") -> "Operator":
        return self + -other


def _combined(combine: Callable[..., Product], *operators: Operator, **kind: Any) -> Operator:
    """What `combine` makes of the products in turn, and of the transposed ones in reverse order."""
    has_transpose = all(operator.has_transpose for operator in operators)
    transposes = [operator.T.product for operator in operators[::-1]] if has_transpose else []
    return Operator(
        product=combine(*(operator.product for operator in operators)),
        transposed=combine(*transposes) if has_transpose else None,
        domain=operators[0].domain,
        codomain=operators[-1].codomain,
        **kind,
    )


def symmetric(matvec: Callable[[Tree], Tree], like: Tree) -> Operator:
    """A symmetric map, from its product on pytrees, of the shapes and dtypes of `like`."""
    space = Space.like(like)

    def product(v):
        return space.ravel(matvec(space.unravel(v)))

    return Operator(product, None, space, space, is_symmetric=True)


def linear(
    matvec: Callable[[Tree], Tree], like: Tree, *, rmatvec: Callable[[Tree], Tree] | None = None
) -> Operator:
    """Any linear map, from its product on pytrees, of the shapes and dtypes of `like`.

    JAX transposes it unless the product of the transpose is given.
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


def diagonal(entries: Tree) -> Operator:
    """Multiplication by `entries`, entry by entry."""
    space = Space.like(entries)
    flat = space.ravel(entries)
    return Operator(lambda v: flat * v, None, space, space, is_symmetric=True)


def identity_plus(shift: Operator) -> Operator:
    """I + N for a square N, which it remembers: `@` and `.T` never form I + N, and lose no digit.

    Raises:
        ValueError: If N is not square.
    """
    if not shift.is_square:
        raise ValueError("I + N needs a square N")
    kind = {"is_symmetric": shift.is_symmetric, "minus_identity": shift}
    return _combined(lambda a: lambda v: v + a(v), shift, **kind)


def composed_shift(outer: Operator, inner: Operator) -> Operator:
    """(I + M)(I + N) - I = N + M (I + N), with one product of each."""

    def after(first: Product, second: Product) -> Product:
        def product(v):
            change = first(v)
            return change + second(v + change)

        return product

    return _combined(after, inner, outer)
