import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.spectra import (
    NotTransposableError,
    Operator,
    Space,
    diagonal,
    identity_plus,
    linear,
    symmetric,
    transpose_defect,
)
from tests.oracles.spectra import tolerance

SIZE = 11  # entries of `tree`


@pytest.fixture(autouse=True)
def keys_are_used_once():
    with jax.debug_key_reuse(True):
        yield


def tree(dtype):
    """The domain of most operators here: nested, with a scalar and an empty leaf."""
    return {
        "bias": jnp.zeros((), dtype),
        "layers": [jnp.zeros((2, 3), dtype), (jnp.zeros(4, dtype), jnp.zeros((0, 2), dtype))],
    }


def matrix_of(seed, dtype, *, rows=SIZE, columns=SIZE):
    return jnp.asarray(np.random.default_rng(seed).standard_normal((rows, columns)), dtype)


def tree_operator(matrix):
    """Any matrix with `SIZE` columns as a map from pytrees; to pytrees, too, if it is square."""
    _, unravel = ravel_pytree(tree(matrix.dtype))
    square = matrix.shape[0] == SIZE

    def matvec(v):
        image = jnp.matmul(matrix, ravel_pytree(v)[0], precision="highest")
        return unravel(image) if square else {"first": image[:1], "rest": image[1:]}

    return linear(matvec, tree(matrix.dtype))


def symmetric_tree_operator(matrix):
    _, unravel = ravel_pytree(tree(matrix.dtype))
    even = (matrix + matrix.T) / 2

    def matvec(v):
        return unravel(jnp.matmul(even, ravel_pytree(v)[0], precision="highest"))

    return symmetric(matvec, tree(matrix.dtype)), even


def dense(operator):
    """The matrix; without a compilation for each of the many operators here."""
    identity = jnp.eye(operator.size, dtype=operator.dtype)
    return np.asarray(jax.vmap(operator.product)(identity), np.float64).T


def wide(*matrices):
    return [np.asarray(matrix, np.float64) for matrix in matrices]


def assert_is(operator, expected, *, rounding=10.0):
    """The operator is this matrix, its transpose the transposed one, and they are adjoint."""
    dtype = operator.dtype
    allowed = tolerance(dtype, float(np.linalg.norm(expected, 2)), factor=rounding)
    assert (operator.codomain.size, operator.domain.size) == expected.shape
    np.testing.assert_allclose(dense(operator), expected, atol=allowed)
    np.testing.assert_allclose(dense(operator.T), expected.T, atol=allowed)
    np.testing.assert_allclose(dense(operator.T.T), expected, atol=allowed)
    assert transpose_defect(operator, jax.random.key(0)) < tolerance(dtype, 1.0)


COMBINATIONS = {
    "A": lambda a, _: a,
    "A + B": lambda a, b: a + b,
    "A - B": lambda a, b: a - b,
    "-A": lambda a, _: -a,
    "A @ B": lambda a, b: a @ b,
    "A.T": lambda a, _: a.T,
    "A.T @ B": lambda a, b: a.T @ b,
    "(A @ B).T": lambda a, b: (a @ b).T,
    "2.5 * A": lambda a, _: 2.5 * a,
    "A * -3": lambda a, _: a * -3,
    "(A - 2 * B.T) @ A + B": lambda a, b: (a - 2 * b.T) @ a + b,
}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_combinations_are_those_of_matrices(dtype, name):
    """On pytrees; each with its transpose."""
    combine = COMBINATIONS[name]
    matrices = matrix_of(0, dtype), matrix_of(1, dtype)
    operator = combine(*(tree_operator(matrix) for matrix in matrices))
    assert operator.dtype == dtype
    assert_is(operator, combine(*wide(*matrices)))


@pytest.mark.parametrize(
    "factor", [2, 2.5, np.float64(2.5), np.float32(2.5), jnp.float32(2.5)], ids=repr
)
def test_any_number_is_a_factor_and_keeps_the_dtype(dtype, factor):
    matrix = matrix_of(0, dtype)
    for operator in (factor * tree_operator(matrix), tree_operator(matrix) * factor):
        assert isinstance(operator, Operator)
        product = operator.matvec(jnp.ones(SIZE, dtype))
        assert product.dtype == operator.dtype == dtype
        assert_is(operator, float(factor) * wide(matrix)[0])


def test_a_factor_may_be_traced(dtype):
    """And differentiated: d (c A v) / dc = A v."""
    operator = tree_operator(matrix_of(0, dtype))
    vector = jnp.arange(SIZE, dtype=dtype)

    def scaled(factor):
        return (factor * operator - operator * factor + factor * operator).matvec(vector)

    expected = operator.matvec(vector)
    allowed = tolerance(dtype, float(jnp.linalg.norm(expected)))
    factor = jnp.asarray(3.0, dtype)
    np.testing.assert_allclose(jax.jit(scaled)(factor), 3 * expected, atol=3 * allowed)
    np.testing.assert_allclose(jax.jacfwd(scaled)(factor), expected, atol=allowed)


def test_rectangular_maps_compose_and_transpose(dtype):
    tall, square = matrix_of(0, dtype, rows=17), matrix_of(1, dtype)
    a, b = tree_operator(tall), tree_operator(square)
    dense_a, dense_b = wide(tall, square)
    assert not a.is_square
    assert b.is_square
    assert_is(a, dense_a)
    assert_is(a @ b, dense_a @ dense_b)
    assert_is(a.T @ a - b, dense_a.T @ dense_a - dense_b)
    assert_is(a @ b @ a.T, dense_a @ dense_b @ dense_a.T)


def test_a_product_has_the_form_of_its_vector(dtype):
    """Flat in, flat out; a pytree of the domain in, a pytree of the codomain out."""
    matrix = matrix_of(0, dtype, rows=17)
    operator = tree_operator(matrix)
    flat = jnp.arange(SIZE, dtype=dtype)
    as_tree = operator.domain.unravel(flat)
    image = operator.matvec(as_tree)
    assert {name: leaf.shape for name, leaf in image.items()} == {"first": (1,), "rest": (16,)}
    np.testing.assert_array_equal(ravel_pytree(image)[0], operator.matvec(flat))
    back = operator.rmatvec(image)
    assert jax.tree.structure(back) == jax.tree.structure(as_tree)
    assert [leaf.shape for leaf in jax.tree.leaves(back)] == [(), (2, 3), (4,), (0, 2)]
    np.testing.assert_array_equal(ravel_pytree(back)[0], operator.rmatvec(operator.matvec(flat)))


def test_leaves_of_another_dtype_are_taken_over(dtype):
    """NumPy and integer leaves become vectors of the domain's dtype."""
    operator = diagonal({"a": jnp.ones(2, dtype), "b": jnp.ones(3, dtype)})
    image = operator.matvec({"a": np.arange(2), "b": np.ones(3)})
    assert {leaf.dtype for leaf in jax.tree.leaves(image)} == {np.dtype(dtype)}
    np.testing.assert_array_equal(image["a"], [0, 1])


def test_linear_transposes_by_itself_or_takes_a_transpose(dtype):
    matrix = matrix_of(0, dtype, rows=5)
    vector = jnp.ones(5, dtype)
    by_jax = linear(lambda v: matrix @ v, matrix[0])
    given = linear(lambda v: matrix @ v, matrix[0], rmatvec=lambda u: 7 * u @ matrix)
    allowed = tolerance(dtype, 30.0)
    np.testing.assert_allclose(by_jax.rmatvec(vector), vector @ matrix, atol=allowed)
    np.testing.assert_allclose(given.rmatvec(vector), 7 * vector @ matrix, atol=7 * allowed)


def test_linear_works_on_arguments_of_jit(dtype):
    matrix = matrix_of(0, dtype, rows=5)

    @jax.jit
    def products(matrix, v, u):
        operator = linear(lambda v: matrix @ v, v)
        return operator.matvec(v), operator.rmatvec(u)

    v, u = jnp.ones(SIZE, dtype), jnp.ones(5, dtype)
    image, back = products(matrix, v, u)
    np.testing.assert_allclose(image, matrix @ v, atol=tolerance(dtype, 30.0))
    np.testing.assert_allclose(back, u @ matrix, atol=tolerance(dtype, 30.0))


def test_diagonal(dtype):
    entries = jax.tree.map(lambda leaf: leaf + 2, tree(dtype)) | {"bias": jnp.asarray(-1.0, dtype)}
    assert_is(diagonal(entries), np.diag([-1.0] + [2.0] * 10))
    assert diagonal(entries).is_symmetric


def test_symmetry_is_declared_where_it_is_certain(dtype):
    """Sums and multiples of symmetric maps, and I + N; not products, and no sum with another."""
    even, _ = symmetric_tree_operator(matrix_of(0, dtype))
    other = diagonal(tree(dtype))
    any_map = tree_operator(matrix_of(1, dtype))
    for operator in (even, other, even + other, even - other, -even, 3 * even, even * 2.0):
        assert operator.is_symmetric
        assert operator.T is operator
    for operator in (any_map, any_map.T, even + any_map, any_map - even, even @ other, 2 * any_map):
        assert not operator.is_symmetric
    assert identity_plus(even).is_symmetric
    assert not identity_plus(any_map).is_symmetric
    assert not (identity_plus(even) @ identity_plus(other)).is_symmetric


def test_products_of_symmetric_maps_transpose_in_reverse(dtype):
    a, dense_a = symmetric_tree_operator(matrix_of(0, dtype))
    b, dense_b = symmetric_tree_operator(matrix_of(1, dtype))
    dense_a, dense_b = wide(dense_a, dense_b)
    assert_is(a @ b, dense_a @ dense_b)
    assert_is(identity_plus(a), np.eye(SIZE) + dense_a)


def test_identity_plus_and_its_products_against_matrices(dtype):
    """`minus_identity` of I + N, of its transpose and of products is that map minus one."""
    matrices = [0.1 * matrix_of(seed, dtype) for seed in range(3)]
    steps = [identity_plus(tree_operator(matrix)) for matrix in matrices]
    dense_steps = [np.eye(SIZE) + matrix for matrix in wide(*matrices)]
    a, b, c = dense_steps
    for operator, expected in [
        (steps[0], a),
        (steps[0].T, a.T),
        (steps[0] @ steps[1], a @ b),
        ((steps[0] @ steps[1]).T, (a @ b).T),
        (steps[0] @ steps[1] @ steps[2], a @ b @ c),
        (steps[0] @ (steps[1] @ steps[2]), a @ b @ c),
        (steps[0].T @ steps[0], a.T @ a),
    ]:
        assert_is(operator, expected)
        assert operator.minus_identity is not None
        assert_is(operator.minus_identity, expected - np.eye(SIZE))


@pytest.mark.parametrize("shift", [1e-6, 1e-12])
def test_products_keep_the_digits_of_small_shifts(dtype, shift):
    """In float32, I + N with N of size 1e-6 has one digit of N left, and of 1e-12 none."""
    count = 8
    matrices = [shift * matrix_of(seed, dtype) for seed in range(count)]
    steps = [identity_plus(tree_operator(matrix)) for matrix in matrices]
    product = functools.reduce(lambda after, before: after @ before, steps)
    # Exactly: the sum of all ordered products, of which the first two orders are enough here.
    exact = wide(*matrices)
    expected = np.sum(exact, axis=0)
    expected = expected + sum(
        exact[i] @ exact[j] for i in range(count) for j in range(i + 1, count)
    )
    norm = float(np.linalg.norm(expected, 2))
    third_order = (norm * count) ** 3 if shift > 1e-9 else 0.0
    allowed = tolerance(dtype, norm) + third_order
    assert allowed < 1e-4 * norm
    assert product.minus_identity is not None
    np.testing.assert_allclose(dense(product.minus_identity), expected, atol=allowed)
    np.testing.assert_allclose(dense(product.minus_identity.T), expected.T, atol=allowed)
    if dtype == np.float32:
        lost = dense(product) - np.eye(SIZE) - expected
        assert np.max(np.abs(lost)) > 1e-3 * norm


def test_other_combinations_forget_the_shift(dtype):
    """They are not near the identity, so that nothing is lost by forming them."""
    step = identity_plus(tree_operator(matrix_of(0, dtype)))
    other = tree_operator(matrix_of(1, dtype))
    for operator in (other, step + step, 2.0 * step, step @ other, other @ step, -step, other.T):
        assert operator.minus_identity is None


def without_transpose(dtype):
    space = Space.like(tree(dtype))
    return Operator(lambda v: 2 * v, None, space, space)


def test_what_has_no_transpose_says_so(dtype):
    """And so does everything made of it, the other way round included."""
    one_way, other = without_transpose(dtype), tree_operator(matrix_of(0, dtype))
    combined = [
        one_way,
        one_way + other,
        other - one_way,
        2.0 * one_way,
        one_way @ other,
        other @ one_way,
        identity_plus(one_way),
        identity_plus(one_way) @ identity_plus(other),
    ]
    for operator in combined:
        assert not operator.has_transpose
        operator.matvec(jnp.ones(SIZE, dtype))
        with pytest.raises(NotTransposableError, match="without the product of its transpose"):
            _ = operator.T
        with pytest.raises(NotTransposableError, match="without the product of its transpose"):
            operator.rmatvec(jnp.ones(SIZE, dtype))
    assert other.has_transpose


def test_sizes_that_do_not_fit_are_refused(dtype):
    square, tall = tree_operator(matrix_of(0, dtype)), tree_operator(matrix_of(0, dtype, rows=17))
    with pytest.raises(ValueError, match="a map from 11 entries with one to 17"):
        _ = square @ tall
    for combine in (lambda: square + tall, lambda: tall - square, lambda: tall + tall.T):
        with pytest.raises(ValueError, match="cannot add operators of different sizes"):
            combine()
    with pytest.raises(ValueError, match="needs a square N"):
        identity_plus(tall)
    with pytest.raises(ValueError, match="a vector of 12 entries for a space of 11"):
        square.matvec(jnp.ones(12, dtype))
    with pytest.raises(ValueError, match="a vector of 3 entries for a space of 11"):
        square.matvec({"a": jnp.ones(3, dtype)})


def test_a_product_that_changes_the_size_is_not_symmetric():
    with pytest.raises(ValueError, match="a vector of 3 entries for a space of 5"):
        symmetric(lambda v: v[:3], jnp.zeros(5)).matvec(jnp.ones(5))


def test_a_factor_of_another_precision_does_not_change_the_dtype():
    with jax.enable_x64(True):
        operator = diagonal(jnp.arange(3, dtype=jnp.float32))
        v = jnp.ones(3, jnp.float32)
        for scaled in (operator * np.float64(2), jnp.float64(2) * operator):
            assert scaled.matvec(v).dtype == jnp.float32
            np.testing.assert_array_equal(scaled.matvec(v), [0, 2, 4])
        with pytest.raises(ValueError, match="cannot add operators on float32 and float64"):
            _ = operator + diagonal(jnp.arange(3, dtype=jnp.float64))
