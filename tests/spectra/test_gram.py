"""Norms by Gram operators, against dense singular values."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import (
    Extremes,
    NonSymmetricOperatorError,
    NotTransposableError,
    Operator,
    dense_matrix,
    extremes,
    gram,
    gram_minus_identity,
    identity_plus,
    lanczos,
    linear,
    norm_minus_one,
    operator_norm,
    ritz_values,
    symmetry_defect,
)
from tests.oracles.nonnormal import asymmetric, grcar, jordan_block, rotations, square_operator
from tests.oracles.spectra import random_starts, tolerance

SIZE = 30
WIDE = np.random.default_rng(0).standard_normal((12, SIZE))


@functools.partial(jax.jit, static_argnames="make")
def full_run(matrix, start, *, make):
    """Lanczos on what `make` makes of a matrix, to full depth."""
    return lanczos(make(square_operator(matrix)), start, max_matvecs=SIZE, tolerance=0.0)


def gram_of(shift):
    return gram_minus_identity(identity_plus(shift))


def spectrum_ends(matrix, make):
    starts = random_starts(2, matrix.shape[1], matrix.dtype)
    runs = [full_run(jnp.asarray(matrix), start, make=make) for start in starts]
    return extremes([ritz_values(run) for run in runs])


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_norm_of_any_matrix(dtype, scale):
    """Square and wide, normal and highly non-normal: the largest singular value."""
    for matrix in (asymmetric(SIZE), grcar(SIZE), jordan_block(SIZE, 0.5), rotations(SIZE), WIDE):
        rounded = np.asarray(scale * matrix, dtype)
        value, error = operator_norm(spectrum_ends(rounded, gram))
        exact = np.linalg.norm(rounded.astype(np.float64), 2)
        assert abs(value - exact) <= error
        assert error < tolerance(dtype, exact, factor=20)  # also LAPACK's, in float64


def test_the_norm_of_the_zero_map_and_of_what_is_not_finite(dtype):
    zero = np.zeros((SIZE, SIZE), dtype)
    value, error = operator_norm(spectrum_ends(zero, gram))
    assert value == 0
    assert error < 1e-15  # what would underflow counts as zero
    assert np.isnan(operator_norm(spectrum_ends(zero + np.nan, gram))).all()


def test_a_wrong_transpose_is_refused():
    """What the run measures of the Gram operator tells."""
    matrix = jnp.asarray(asymmetric(SIZE), np.float32)
    operator = linear(lambda v: matrix @ v, matrix[0], rmatvec=lambda u: matrix @ u)
    start = random_starts(1, SIZE, np.float32)[0]
    run = lanczos(gram(operator), start, max_matvecs=10, tolerance=0.0)
    with pytest.raises(NonSymmetricOperatorError, match="symmetry defect"):
        ritz_values(run)


@pytest.mark.parametrize(("skew", "passes"), [(1e-16, True), (1e-10, False)])
def test_asymmetry_that_the_identity_rounds_is_an_error_and_no_refusal(x64, skew, passes):
    """Of A'A - I far below one: rounding of A'A, which is near one, is far above its own."""
    shift, noise = 1e-5 * asymmetric(SIZE), skew * asymmetric(SIZE, 1)
    exact = shift + shift.T + shift.T @ shift
    matrix = exact + noise - noise.T
    start = random_starts(1, SIZE, x64 or float)[0]

    def declared(operator):
        return Operator(operator.product, None, operator.domain, operator.domain, is_symmetric=True)

    run = full_run(jnp.asarray(matrix), start, make=declared)
    with pytest.raises(NonSymmetricOperatorError):
        ritz_values(run)
    if not passes:
        with pytest.raises(NonSymmetricOperatorError):
            ritz_values(run, rounds=1.0)
    values = ritz_values(run, rounds=1.0 if passes else np.inf)
    assert values.rounding == pytest.approx(run.asymmetry * run.scale)
    assert abs(values.values[-1] - np.linalg.eigvalsh(exact)[-1]) <= values.errors[-1]


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 30.0])
def test_the_norm_of_i_plus_n_minus_one(dtype, scale):
    """At 1e-9 no digit of it would be left in a float32 number near one."""
    for matrix in (asymmetric(SIZE), grcar(SIZE), -np.eye(SIZE) + 0.3 * asymmetric(SIZE)):
        shift = np.asarray(scale * matrix, dtype)
        ends = spectrum_ends(shift, gram_of)
        result = norm_minus_one(ends)
        wide = shift.astype(np.float64)
        s = np.linalg.eigvalsh(wide + wide.T + wide.T @ wide)[-1]
        exact = s / (1 + np.sqrt(1 + s))
        assert abs(result.minus_one - exact) <= result.error
        assert result.error < 1e-4 * np.linalg.norm(wide, 2) * (1 + scale)
        assert result.exceeds_one == ("yes" if exact > 0 else "no")


@jax.jit
def gram_matrix(matrix, key):
    """The Gram operator as a matrix, and its symmetry defect."""
    operator = gram_of(square_operator(matrix))
    assert operator.is_symmetric
    return dense_matrix(operator), symmetry_defect(operator, key)


def test_the_gram_is_what_it_says(dtype):
    matrix = np.asarray(asymmetric(SIZE), dtype)
    found, defect = gram_matrix(jnp.asarray(matrix), jax.random.key(0))
    np.testing.assert_allclose(
        found, matrix + matrix.T + matrix.T @ matrix, atol=tolerance(dtype, 8.0)
    )
    assert defect < tolerance(dtype, 1.0)


def ends(highest, error, *, disagreement=0.5, converged=True):
    return Extremes(
        lowest=-1.0,
        lowest_error=0.0,
        highest=highest,
        highest_error=error,
        disagreement=disagreement,
        matvecs=1,
        converged=converged,
        orthogonality=0.0,
    )


@pytest.mark.parametrize(
    ("highest", "error", "expected"),
    [
        (1e-12, 1e-13, "yes"),
        (-1e-12, 1e-13, "no"),
        (1e-12, 1e-11, "undecided"),
        (3.0, 0.5, "yes"),
        (-1.0, 0.0, "no"),
        (-0.99, 0.5, "no"),
        (-1.0 - 1e-9, 1e-8, "no"),
        (0.0, 0.0, "no"),
        (np.nan, np.nan, "undecided"),
    ],
)
def test_norm_minus_one_carries_the_interval_over(highest, error, expected):
    result = norm_minus_one(ends(highest, error))
    assert result.exceeds_one == expected
    doubts: list[dict[str, Any]] = [
        {"disagreement": np.nan},
        {"disagreement": 1.5},
        {"converged": False},
    ]
    for alone in doubts:
        without = norm_minus_one(ends(highest, error, **alone)).exceeds_one
        assert without == ("undecided" if expected == "no" else expected)
    if np.isnan(highest):
        assert np.isnan([result.minus_one, result.error]).all()
        return
    s = np.longdouble(max(highest, -1.0))
    low, high = np.maximum(s - np.longdouble(error), -1), s + np.longdouble(error)
    np.testing.assert_allclose(result.minus_one, float(np.sqrt(1 + s) - 1), rtol=1e-6, atol=1e-19)
    reach = max(np.sqrt(1 + high) - np.sqrt(1 + s), np.sqrt(1 + s) - np.sqrt(1 + low))
    np.testing.assert_allclose(result.error, float(reach), rtol=1e-5, atol=1e-18)


@pytest.mark.parametrize(
    "doubt", [{"disagreement": np.nan}, {"disagreement": 1.1}, {"converged": False}]
)
def test_a_norm_that_was_not_searched_twice_may_exceed_one_for_all_we_know(doubt):
    """What was found of it is below one; a proof that it is above stands whatever else there is."""
    assert norm_minus_one(ends(-0.1, 1e-3, **doubt)).exceeds_one == "undecided"
    assert norm_minus_one(ends(0.1, 1e-3, **doubt)).exceeds_one == "yes"


def test_what_has_no_gram_is_refused():
    operator = square_operator(jnp.eye(3))
    with pytest.raises(ValueError, match="identity_plus"):
        gram_minus_identity(operator)
    one_way = Operator(lambda v: v, None, operator.domain, operator.domain)
    with pytest.raises(NotTransposableError):
        gram_minus_identity(identity_plus(one_way))
    with pytest.raises(NotTransposableError):
        gram(one_way)
