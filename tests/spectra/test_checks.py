import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import (
    NonSymmetricOperatorError,
    NotTransposableError,
    Space,
    diagonal,
    hessian,
    identity_plus,
    linear,
    repeat_check,
    repeats,
    symmetric,
    symmetry_defect,
    transpose_defect,
)
from hessdiag.spectra.checks import require_declared_symmetric, require_symmetric
from tests.oracles.spectra import (
    matrix_operator,
    mlp_loss,
    mlp_problem,
    prescribed_matrix,
    tolerance,
)


@pytest.fixture(autouse=True)
def keys_are_used_once():
    with jax.debug_key_reuse(True):
        yield


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1.0, 1e8])
def test_defect_of_a_symmetric_matrix_is_rounding(dtype, scale):
    matrix = jnp.asarray(scale * prescribed_matrix(np.linspace(-1, 3, 80)), dtype)
    for seed in range(5):
        defect = symmetry_defect(matrix_operator(matrix), jax.random.key(seed))
        assert float(defect) < 2 * float(np.finfo(dtype).eps)


def test_defect_is_free_of_scale_and_equals_its_definition(dtype):
    """A plain NumPy evaluation with the same two vectors gives the same number."""
    matrix = np.random.default_rng(0).standard_normal((40, 40))
    key_u, key_v = jax.random.split(jax.random.key(3))
    u, v = (
        np.asarray(jax.random.normal(k, (40,), dtype), np.float64)
        for k in (jax.random.clone(key_u), jax.random.clone(key_v))
    )
    norm = np.linalg.norm
    expected = abs(u @ matrix @ v - v @ matrix @ u)
    expected /= norm(matrix @ v) * norm(u) + norm(matrix @ u) * norm(v)
    for scale in (1e-30, 1.0, 1e8):
        operator = matrix_operator(jnp.asarray(scale * matrix, dtype))
        defect = symmetry_defect(operator, jax.random.key(3))
        # Two sums of 40 terms that nearly cancel, hence more than a few eps.
        np.testing.assert_allclose(defect, expected, atol=tolerance(dtype, 1.0))


def test_defect_of_the_zero_operator_is_zero(dtype):
    operator = symmetric(jnp.zeros_like, jnp.zeros(10, dtype))
    assert float(symmetry_defect(operator, jax.random.key(0))) == 0


@pytest.mark.parametrize("size", [20, 2000])
@pytest.mark.parametrize("asymmetry", [1.0, 3e-2])
def test_a_non_symmetric_operator_is_refused(dtype, size, asymmetry):
    """G8: also when only a small part of the operator is not symmetric, whatever the size."""
    rng = np.random.default_rng(0)
    skew = rng.standard_normal((size, 3)) @ rng.standard_normal((3, size))
    matrix = jnp.asarray(asymmetry * skew + np.diag(np.full(size, np.sqrt(size))), dtype)
    defect = symmetry_defect(matrix_operator(matrix), jax.random.key(0))
    with pytest.raises(NonSymmetricOperatorError, match=rf"{float(defect):.1e} exceeds"):
        require_symmetric(defect, dtype)


def test_what_is_not_declared_symmetric_is_refused_with_its_defect(dtype):
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((40, 40)), dtype)
    for entries, says in ((matrix, "is {:.1e}, where rounding"), (matrix + matrix.T, ", {:.1e}, ")):
        operator = linear(lambda v, entries=entries: entries @ v, matrix[0])
        defect = float(symmetry_defect(operator, jax.random.key(0)))
        with pytest.raises(NonSymmetricOperatorError, match=re.escape(says.format(defect))):
            require_declared_symmetric(operator)
    require_declared_symmetric(matrix_operator(matrix))  # what it declares is not its business


def test_where_nothing_can_be_measured_the_refusal_says_so():
    def inside(matrix):
        require_declared_symmetric(linear(lambda v: matrix @ v, matrix[0]))

    with pytest.raises(NonSymmetricOperatorError, match="measures it outside jit"):
        jax.jit(inside)(jnp.eye(3))
    with pytest.raises(NonSymmetricOperatorError, match="it maps 12 numbers to 7"):
        require_declared_symmetric(rectangular(np.float32))


def test_a_defect_that_is_not_a_number_is_no_asymmetry():
    operator = symmetric(lambda v: v * jnp.nan, jnp.zeros(10))
    defect = symmetry_defect(operator, jax.random.key(0))
    assert np.isnan(defect)
    require_symmetric(defect, jnp.float32)


def rectangular(dtype, *, error=0.0, scale=1.0):
    """A 7 x 12 matrix as an operator whose transpose is wrong in one of 84 entries."""
    matrix = jnp.asarray(scale * np.random.default_rng(0).standard_normal((7, 12)), dtype)
    wrong = matrix.at[2, 3].add(error * scale)
    return linear(
        lambda v: jnp.matmul(matrix, v, precision="highest"),
        matrix[0],
        rmatvec=lambda u: jnp.matmul(wrong.T, u, precision="highest"),
    )


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1.0, 1e8])
def test_transpose_defect_of_a_true_transpose_is_rounding(dtype, scale):
    for seed in range(5):
        defect = transpose_defect(rectangular(dtype, scale=scale), jax.random.key(seed))
        assert float(defect) < 2 * float(np.finfo(dtype).eps)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_transpose_defect_tells_one_wrong_entry(dtype, scale):
    """Of size 1e-2 among entries of size 1: |u_2 v_3| 1e-2 over twice the length of A v."""
    defects = [
        float(transpose_defect(rectangular(dtype, error=1e-2, scale=scale), jax.random.key(seed)))
        for seed in range(5)
    ]
    assert max(defects) > 1e-4
    assert max(defects) < 1e-2


def test_transpose_defect_equals_its_definition(dtype):
    operator = rectangular(dtype, error=1.0)
    key_u, key_v = jax.random.split(jax.random.key(3))
    u = np.asarray(jax.random.normal(jax.random.clone(key_u), (7,), dtype), np.float64)
    v = np.asarray(jax.random.normal(jax.random.clone(key_v), (12,), dtype), np.float64)
    image = np.asarray(operator.matvec(jnp.asarray(v, dtype)), np.float64)
    back = np.asarray(operator.rmatvec(jnp.asarray(u, dtype)), np.float64)
    norm = np.linalg.norm
    expected = abs(u @ image - v @ back) / (norm(image) * norm(u) + norm(back) * norm(v))
    defect = transpose_defect(operator, jax.random.key(3))
    np.testing.assert_allclose(defect, expected, atol=tolerance(dtype, 1.0))


def test_transpose_defect_of_a_symmetric_operator_is_that_of_its_symmetry(dtype):
    matrix = jnp.asarray(prescribed_matrix(np.linspace(-1, 3, 40)), dtype)
    skewed = matrix.at[0, 1].add(1.0)
    assert transpose_defect(matrix_operator(matrix), jax.random.key(0)) < tolerance(dtype, 1.0)
    assert transpose_defect(matrix_operator(skewed), jax.random.key(0)) > 1e-4


def test_transpose_defect_needs_a_transpose():
    operator = symmetric(lambda v: v, jnp.zeros(4))
    one_way = identity_plus(
        operator.__class__(operator.product, None, operator.domain, operator.domain)
    )
    with pytest.raises(NotTransposableError, match="without the product of its transpose"):
        transpose_defect(one_way, jax.random.key(0))


def repeats_itself(product, dtype) -> bool:
    return repeats(product, jnp.linspace(-1, 2, 20, dtype=dtype))


def test_a_randomised_product_does_not_repeat(dtype):
    """A key or a batch drawn anew at every call; the same draw every time is a linear map."""
    draws = itertools.count()

    def noisy(v, key):
        return v * (1 + 0.1 * jax.random.normal(key, v.shape, v.dtype))

    def fresh(v):
        return noisy(v, jax.random.key(next(draws)))

    assert not repeats_itself(symmetric(fresh, jnp.zeros(20, dtype)).product, dtype)
    fixed = symmetric(lambda v: noisy(v, jax.random.key(5)), jnp.zeros(20, dtype))
    assert repeats_itself(fixed.product, dtype)


def test_what_only_python_draws_is_found_by_tracing_again(dtype):
    """One program holds one draw, and repeats it; the next program would hold another."""
    random = np.random.default_rng(0)

    def product(v):
        return hessian(lambda x: random.uniform(1, 2) * jnp.sum(x**2), jnp.zeros_like(v)).product(v)

    assert not repeats_itself(product, dtype)


def test_what_changes_at_every_run_is_found_in_one_program(dtype):
    draws = itertools.count()

    def product(v):
        drawn = jax.pure_callback(
            lambda: np.asarray(next(draws), dtype), jax.ShapeDtypeStruct((), dtype)
        )
        return drawn * v

    assert not repeats_itself(jax.jit(product), dtype)


def test_results_are_compared_leaf_by_leaf_whatever_they_hold():
    def results(v):
        return {"nan": v * jnp.nan, "whole": jnp.arange(3), "key": jax.random.key(1)}

    assert repeats(results, jnp.ones(2))


def test_a_difference_in_the_last_bit_is_no_repetition(dtype):
    calls = itertools.count()

    def drifting(v):
        return v * (1 + float(np.finfo(dtype).eps) * next(calls))

    assert not repeats_itself(symmetric(drifting, jnp.zeros(20, dtype)).product, dtype)


@pytest.mark.parametrize(("step", "passes"), [(0.01, True), (3.0, False)])
def test_accelerators_may_round_in_another_order(dtype, step, passes, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    calls = itertools.count()
    relative = step * float(np.finfo(dtype).eps) ** 0.5

    def drifting(v):
        return v * (1 + relative * next(calls))

    assert repeats_itself(symmetric(drifting, jnp.zeros(20, dtype)).product, dtype) is passes


def test_nan_repeats_and_so_does_a_hessian(dtype):
    assert repeats_itself(diagonal(jnp.full(20, jnp.nan, dtype)).product, dtype)
    params, inputs, labels = mlp_problem(dtype)
    v = jax.random.normal(jax.random.key(0), (Space.like(params).size,), dtype)
    assert repeats(
        lambda p, v: hessian(lambda q: mlp_loss(q, inputs, labels), p).product(v), params, v
    )


def test_a_kept_check_traces_twice_and_then_compares_what_was_drawn():
    """A factor that was drawn is hidden by a zero, and found at the next vector."""
    draws = itertools.count(1)
    check = repeat_check(lambda v: next(draws) * v)
    assert check(jnp.zeros(3))
    assert not check(jnp.ones(3))
    assert not check(jnp.ones(3))
    assert next(draws) == 3
    assert not check(jnp.ones(4))
    assert next(draws) == 6
