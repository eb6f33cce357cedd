import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import schur

from hessdiag.spectra import (
    NotTransposableError,
    Operator,
    extremes,
    identity_plus,
    lanczos,
    linear,
    ritz_values,
    symmetry_defect,
)
from hessdiag.spectra.dense import dense_matrix
from hessdiag.spectra.normality import (
    departure_from_normality,
    gram_minus_identity,
    norm_minus_one,
    symmetric_part,
)
from hessdiag.spectra.ritz import Extremes
from tests.oracles.nonnormal import (
    asymmetric,
    departure_bound,
    grcar,
    jordan_block,
    rotations,
    square_operator,
    zoo,
)
from tests.oracles.spectra import tolerance

SIZE = 30


@functools.partial(jax.jit, static_argnames=("plus_identity", "num_probes"))
def departures(matrix, keys, *, plus_identity=False, num_probes=16):
    """Independent estimates, stacked."""
    operator = square_operator(matrix)
    operator = identity_plus(operator) if plus_identity else operator

    def estimate(key):
        return departure_from_normality(operator, key, num_probes=num_probes)

    return jax.lax.map(estimate, keys)


@functools.partial(jax.jit, static_argnames="made")
def ends_of(matrix, start, *, made):
    """Lanczos on what `made` makes of a matrix, to full depth."""
    return lanczos(made(square_operator(matrix)), start, max_matvecs=SIZE, tolerance=0.0)


def gram_of(shift):
    return gram_minus_identity(identity_plus(shift))


def spectrum_ends(matrix, dtype, made):
    start = jax.random.normal(jax.random.key(0), (SIZE,), dtype)
    return extremes([ritz_values(ends_of(jnp.asarray(matrix, dtype), start, made=made))])


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e8])
def test_the_departure_is_estimated_within_its_standard_error(dtype, scale):
    """Twenty estimates: none far off, their mean close, their spread as they say."""
    keys = jax.random.split(jax.random.key(0), 20)
    for name in ("Grcar", "Jordan", "asymmetric", "rotations", "low rank", "preconditioned"):
        matrix = zoo(SIZE)[name]
        found = departures(jnp.asarray(scale * matrix, dtype), keys)
        bound, error = np.asarray(found.bound) / scale, np.asarray(found.standard_error) / scale
        exact = departure_bound(matrix)
        assert np.max(np.abs(bound - exact) / error) < 5, name
        assert abs(np.mean(bound) - exact) < 4 * np.sqrt(np.mean(error**2) / 20), name
        assert 0.5 < np.std(bound) / np.mean(error) < 2, name
        assert np.mean(np.asarray(found.upper) / scale >= exact) >= 0.95, name
        np.testing.assert_allclose(
            np.mean(found.frobenius) / scale, np.linalg.norm(matrix), rtol=0.15
        )


FEW_AND_SPARSE = np.zeros((12, 12))
FEW_AND_SPARSE[:2, 2:4] = 1  # x y' with x and y of two entries each
HARD_TO_BOUND = {
    **{name: matrix for name, matrix in zoo(12).items() if name != "symmetric"},
    "one direction": np.outer(*np.random.default_rng(0).standard_normal((2, 12))),
    "decaying": np.geomspace(1, 1e-4, 12)[:, None]
    * np.random.default_rng(1).standard_normal((12, 12)),
    "few and sparse": FEW_AND_SPARSE,
}


@pytest.mark.parametrize("num_probes", [2, 3, 4, 8, 16])
def test_the_upper_bound_holds_however_few_the_probes(num_probes):
    """In 95 % of runs for each matrix; two sign vectors may both miss sparse directions."""
    keys = jax.random.split(jax.random.key(num_probes), 4000)
    for name, matrix in HARD_TO_BOUND.items():
        found = departures(jnp.asarray(matrix, jnp.float32), keys, num_probes=num_probes)
        held = np.mean(np.asarray(found.upper) >= (1 - 1e-5) * departure_bound(matrix))
        missed = 1 / 16 if num_probes == 2 and name == "few and sparse" else 0
        assert held >= 0.95 - missed, name


def test_the_upper_bound_is_no_wider_than_it_has_to_be():
    """By the median; of two probes the spread says nothing, and it is thrice as wide."""
    for num_probes, widest in ((16, 1.3), (4, 2.0), (2, 4.4)):
        keys = jax.random.split(jax.random.key(0), 4000)
        for name in ("Grcar", "asymmetric", "rotations", "preconditioned"):
            matrix = HARD_TO_BOUND[name]
            found = departures(jnp.asarray(matrix, jnp.float32), keys, num_probes=num_probes)
            assert np.median(found.upper) < widest * departure_bound(matrix), name


def test_the_upper_bound_exceeds_the_departure_itself(dtype):
    """Where eigenvalues are a small part of the matrix, which only a real departure can explain."""
    keys = jax.random.split(jax.random.key(0), 20)
    for name in ("Grcar", "nilpotent", "asymmetric", "low rank"):
        matrix = zoo(SIZE)[name]
        squares = np.sum(np.abs(np.linalg.eigvals(matrix)) ** 2)
        departure = np.sqrt(np.linalg.norm(matrix) ** 2 - squares)
        assert departure > 0.4 * np.linalg.norm(matrix), name
        assert (np.asarray(departures(jnp.asarray(matrix, dtype), keys).upper) > departure).all()


def test_the_bound_holds_for_the_departure_in_schur_form():
    for name, matrix in zoo(SIZE).items():
        triangular = schur(matrix, output="complex")[0]
        assert np.linalg.norm(np.triu(triangular, 1)) <= departure_bound(matrix) + 1e-12, name


def test_the_departure_of_a_symmetric_matrix_is_rounding(dtype):
    matrix = zoo(SIZE)["symmetric"] + 100 * np.eye(SIZE)
    found = departures(jnp.asarray(matrix, dtype), jax.random.split(jax.random.key(0), 20))
    assert (np.asarray(found.upper) < tolerance(dtype, float(np.linalg.norm(matrix)))).all()


def test_the_identity_beside_n_changes_nothing(dtype):
    shift = jnp.asarray(1e-9 * asymmetric(SIZE), dtype)
    keys = jax.random.split(jax.random.key(0), 20)
    found = departures(shift, keys, plus_identity=True)
    np.testing.assert_array_equal(found, departures(shift, keys))


def test_nan_products_and_zero_operators(dtype):
    keys = jax.random.split(jax.random.key(0), 20)
    nothing = departures(jnp.zeros((SIZE, SIZE), dtype), keys)
    np.testing.assert_array_equal(nothing, np.zeros((4, 20)))
    bad = departures(jnp.full((SIZE, SIZE), jnp.nan, dtype), keys)
    assert np.isnan(bad).all()


def test_the_numerical_range_ends(dtype):
    for matrix in (grcar(SIZE), jordan_block(SIZE, 0.5), rotations(SIZE)):
        ends = spectrum_ends(matrix, dtype, symmetric_part)
        exact = np.linalg.eigvalsh((matrix + matrix.T) / 2)
        assert abs(ends.lowest - exact[0]) <= ends.lowest_error
        assert abs(ends.highest - exact[-1]) <= ends.highest_error
        assert np.max(np.real(np.linalg.eigvals(matrix))) <= ends.highest + ends.highest_error


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 30.0])
def test_the_norm_of_i_plus_n_minus_one(dtype, scale):
    """At 1e-9 no digit of it would be left in a float32 number near one."""
    for matrix in (asymmetric(SIZE), grcar(SIZE), -np.eye(SIZE) + 0.3 * asymmetric(SIZE)):
        shift = np.asarray(scale * matrix, dtype)
        ends = spectrum_ends(shift, dtype, gram_of)
        result = norm_minus_one(ends)
        wide = shift.astype(np.float64)
        s = np.linalg.eigvalsh(wide + wide.T + wide.T @ wide)[-1]
        exact = s / (1 + np.sqrt(1 + s))
        assert abs(result.minus_one - exact) <= result.error
        assert result.error < 1e-4 * np.linalg.norm(wide, 2) * (1 + scale)
        assert result.exceeds_one == ("yes" if exact > 0 else "no")


@jax.jit
def made_of(matrix, key):
    """The two symmetric operators as matrices, and their symmetry defects."""
    operators = gram_of(square_operator(matrix)), symmetric_part(square_operator(matrix))
    assert all(operator.is_symmetric for operator in operators)
    return [(dense_matrix(each), symmetry_defect(each, key)) for each in operators]


def test_the_gram_and_the_symmetric_part_are_what_they_say(dtype):
    matrix = np.asarray(asymmetric(SIZE), dtype)
    made = jax.device_get(made_of(jnp.asarray(matrix), jax.random.key(0)))
    expected = matrix + matrix.T + matrix.T @ matrix, (matrix + matrix.T) / 2
    for (found, defect), exact in zip(made, expected, strict=True):
        np.testing.assert_allclose(found, exact, atol=tolerance(dtype, 8.0))
        assert defect < tolerance(dtype, 1.0)


def ends(highest, error):
    return Extremes(
        lowest=-1.0,
        lowest_error=0.0,
        highest=highest,
        highest_error=error,
        disagreement=np.nan,
        matvecs=1,
        converged=True,
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
    if np.isnan(highest):
        assert np.isnan([result.minus_one, result.error]).all()
        return
    s = np.longdouble(max(highest, -1.0))
    low, high = np.maximum(s - np.longdouble(error), -1), s + np.longdouble(error)
    np.testing.assert_allclose(result.minus_one, float(np.sqrt(1 + s) - 1), rtol=1e-6, atol=1e-19)
    reach = max(np.sqrt(1 + high) - np.sqrt(1 + s), np.sqrt(1 + s) - np.sqrt(1 + low))
    np.testing.assert_allclose(result.error, float(reach), rtol=1e-5, atol=1e-18)


def test_what_has_no_departure_or_gram_is_refused():
    key = jax.random.key(0)
    operator, wide = square_operator(jnp.eye(3)), linear(lambda v: v[:3], jnp.zeros(5))
    with pytest.raises(ValueError, match="two probes"):
        departure_from_normality(operator, key, num_probes=1)
    with pytest.raises(ValueError, match="square"):
        departure_from_normality(wide, key)
    with pytest.raises(ValueError, match="square"):
        symmetric_part(wide)
    with pytest.raises(ValueError, match="identity_plus"):
        gram_minus_identity(operator)
    one_way = Operator(lambda v: v, None, operator.domain, operator.domain)
    with pytest.raises(NotTransposableError):
        symmetric_part(one_way)
