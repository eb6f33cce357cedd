"""How far an operator is from normal."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key
from scipy.special import chdtri, stdtrit

from hessdiag.spectra.gram_schmidt import nonzero, norm
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Scalar

UPPER_LEVEL = 0.995
"""Nominal confidence of the upper bound, about that of three standard errors of 16 probes."""


class Departure(NamedTuple):
    """Random estimate of a bound on the Frobenius departure from normality."""

    bound: Scalar  # estimate of |A - A'| / sqrt(2), which the departure does not exceed
    standard_error: Scalar  # of `bound`, to first order
    upper: Scalar  # at least |A - A'| / sqrt(2) in over 95 % of runs on every matrix tried
    frobenius: Scalar  # estimate of |A|, to compare with


@jax.default_matmul_precision("highest")
def departure_from_normality(
    operator: Operator, key: Key[Array, ""], *, num_probes: int = 16
) -> Departure:
    """Bound the departure |N|_F from normality of A = U (D + N) U', by products with random signs.

    The bound is |A - A'|_F / sqrt(2). Proof: |N|^2 = |A|^2 - sum |lambda|^2, and sum |lambda|^2 >=
    sum Re lambda^2 = tr A^2, while |A - A'|^2 / 2 = |A|^2 - tr A^2. It is zero for a symmetric A,
    but not for every normal one: a rotation is normal, and not symmetric.

    For random signs v, E |A v - A'v|^2 = |A - A'|^2, and no large numbers are subtracted. A and
    A + c I have one departure, and of I + N it is N that is measured; `frobenius` is then |N|.

    The upper bound is the lower of two. The mean square plus Student's quantile of its standard
    errors allows for their being estimated from few probes. And A - A' has its singular values in
    equal pairs, so that over k Gaussian vectors the mean square falls below a small part of its
    expectation most often where there is a single pair: that is chi-squared with 2 k degrees of
    freedom. Signs deviate less, but for few and sparse directions, which two sign vectors both
    miss in one case of 16. Of two probes the spread says nothing, and the second bound stands.

    Each of the `num_probes` sign vectors costs one product of each kind. The relative standard
    error of the square is at most sqrt(2 / num_probes), 0.35 for 16, and small in high dimension.
    Works under jit; NaN if a product is.

    Raises:
        ValueError: If there are fewer than two probes, or the operator is not square.

    References:
        Henrici 1962, Numerische Mathematik 4. Hutchinson 1990, Communications in Statistics 19, for
        the probes. Roosta-Khorasani and Szekely 2015, Metrika 78, for the single pair as the worst.
    """
    if num_probes < 2:
        raise ValueError(f"a standard error needs at least two probes, got {num_probes}")
    if not operator.is_square:
        raise ValueError("only a square operator has a departure from normality")
    part = operator if operator.minus_identity is None else operator.minus_identity
    transpose = part.T

    def lengths(key):
        signs = jax.random.rademacher(key, (part.size,), part.dtype)
        product = part.product(signs)
        return norm(product - transpose.product(signs)) / 2**0.5, norm(product)

    asymmetric, whole = jax.lax.map(lengths, jax.random.split(key, num_probes))
    unit = nonzero(jnp.max(asymmetric))
    squares = (asymmetric / unit) ** 2
    mean = jnp.mean(squares)
    mean_error = jnp.std(squares, ddof=1) / num_probes**0.5
    bound = jnp.sqrt(mean)
    return Departure(
        bound=unit * bound,
        standard_error=unit * mean_error / (2 * nonzero(bound)),
        upper=unit * jnp.sqrt(_upper_mean(mean, mean_error, num_probes)),
        frobenius=norm(whole) / num_probes**0.5,
    )


def _upper_mean(mean: Scalar, error: Scalar, num_probes: int) -> Array:
    """Upper bound on the expectation of the mean of squares."""
    degrees = 2 * num_probes
    single_pair = mean * float(degrees / chdtri(degrees, UPPER_LEVEL))
    if num_probes == 2:
        return single_pair
    student = mean + float(stdtrit(num_probes - 1, UPPER_LEVEL)) * error
    return jnp.minimum(student, single_pair)
