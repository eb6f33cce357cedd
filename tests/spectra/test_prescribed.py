"""Spectra made to order: every value within its own bound of the truth, at every depth."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import lanczos, ritz_values, symmetric
from tests.oracles.gauntlet import distances, num_ghosts, orthonormal
from tests.oracles.spectra import matrix_operator, random_starts, tolerance

STARTS = 2
DEEP = 150
LARGE = 3000
WHOLE = 500  # rows of what is taken to its last dimension


def spectra(size):
    """Eigenvalues of every kind that confuses Lanczos."""
    rng = np.random.default_rng(size)
    bulk = np.linspace(-1, 1, size)
    half = size // 2
    return {
        "repeated": np.repeat(rng.standard_normal(-(-size // 4)), 4)[:size],
        "clustered": np.where(bulk > 0, 1.0, -2.0) + 1e-4 * rng.standard_normal(size),
        "negative": -np.geomspace(1e-3, 10, size),
        "zero": np.zeros(size),
        "mostly zero": np.concatenate([np.zeros(size - size // 8), rng.standard_normal(size // 8)]),
        "an outlier 1e6 away": np.concatenate([[1e6], bulk[1:]]),
        "outliers at both ends": np.concatenate([[-1e6, 1e6], bulk])[:size],
        "indefinite": rng.standard_normal(size),
        "geometric to rounding": np.geomspace(1, 1e-20, size),
        "two values": np.concatenate([np.full(half, 3.0), np.full(size - half, -1.0)]),
    }


def at_depth(run, depth):
    """The Ritz values that the run had after so many steps."""
    return ritz_values(run._replace(active=depth, converged=False, basis=None))


def assert_within_bounds(run, truth, dtype):
    """Every value near an eigenvalue, within the spectrum, and listed as often as it occurs."""
    allowed = tolerance(dtype, np.max(np.abs(truth)))
    assert (distances(run.values, truth) <= run.errors).all()
    assert truth[0] - run.rounding <= run.values[0]
    assert run.values[-1] <= truth[-1] + run.rounding
    assert num_ghosts(run.values[run.errors <= allowed], truth, allowed) == 0
    np.testing.assert_allclose(np.sum(run.weights), 1)


@functools.partial(jax.jit, static_argnames=("operator_of", "max_matvecs"))
def all_runs(operator_of, data, starts, *, max_matvecs):
    """A run for every operator and start, stacked."""

    def runs_on(operator):
        return jax.lax.map(
            lambda start: lanczos(
                operator, start, max_matvecs=max_matvecs, tolerance=0.0, check_every=max_matvecs
            ),
            starts,
        )

    return jax.lax.map(lambda d: runs_on(operator_of(d)), data)


def each(runs):
    """The runs of a batch with two leading axes, by spectrum and start."""
    host = jax.device_get(runs)
    for i, j in np.ndindex(*host.active.shape):
        yield i, jax.tree.map(lambda leaf, i=i, j=j: leaf[i, j], host)


@functools.cache
def small(size, dtype):
    """A matrix of each spectrum, and starts: the eigenvalues, and what `all_runs` takes."""
    truths = [np.sort(values) for values in spectra(size).values()]
    bases = [orthonormal(size, size, seed) for seed in range(len(truths))]
    matrices = [(q * values) @ q.T for q, values in zip(bases, truths, strict=True)]
    matrices = jnp.asarray(np.stack([(m + m.T) / 2 for m in matrices]), dtype)
    return truths, matrices, random_starts(STARTS, size, dtype)


@functools.cache
def small_runs(size, dtype):
    """Each run, with ten more products asked for than there are rows."""
    _, matrices, starts = small(size, dtype)
    return list(each(all_runs(matrix_operator, matrices, starts, max_matvecs=size + 10)))


@pytest.mark.parametrize("size", [1, 2, 9, 60, 250])
def test_small_matrices_at_every_depth(dtype, size):
    """Every depth up to a hundred, then every ninth, and the last two."""
    truths = small(size, dtype)[0]
    for i, run in small_runs(size, dtype):
        assert 1 <= run.active <= size
        assert run.broke_down
        depths = {*range(1, min(run.active, 100)), *range(100, run.active, 9)}
        for depth in sorted(depths | {max(run.active - 1, 1), int(run.active)}):
            assert_within_bounds(at_depth(run, depth), truths[i], dtype)


@pytest.mark.parametrize(("dtype", "depth"), [("float32", 4), ("float64", 17)], indirect=["dtype"])
def test_the_leading_part_of_a_run_is_a_shorter_run(dtype, depth):
    """So that the depths of the other tests are those that a caller would see."""
    truths, matrices, starts = small(60, dtype)
    which = list(spectra(60)).index("indefinite")
    ((_, short),) = each(
        all_runs(matrix_operator, matrices[which][None], starts[:1], max_matvecs=depth)
    )
    full = next(run for i, run in small_runs(60, dtype) if i == which)
    # Two programs may round differently, which later steps amplify.
    allowed = tolerance(dtype, np.max(np.abs(truths[which])), factor=100)
    expected, actual = at_depth(full, depth), ritz_values(short)
    np.testing.assert_allclose(actual.values, expected.values, atol=allowed)
    np.testing.assert_allclose(actual.errors, expected.errors, atol=allowed)


def reflected_operator(data):
    """P diag(eigenvalues) P' with P a product of reflections along the rows of `mirrors`."""
    eigenvalues, mirrors = data

    def reflect(v, mirror):
        return v - 2 * jnp.vdot(mirror, v, precision="highest") * mirror

    def matvec(v):
        for mirror in mirrors:
            v = reflect(v, mirror)
        v = eigenvalues * v
        for mirror in mirrors[::-1]:
            v = reflect(v, mirror)
        return v

    return symmetric(matvec, eigenvalues)


def large(names, dtype, size=LARGE):
    """Spectra of many rows, with eigenvectors two reflections away from the axes."""
    truths = [np.sort(spectra(size)[name]) for name in names]
    mirrors = np.random.default_rng(0).standard_normal((len(truths), 2, size))
    mirrors /= np.linalg.norm(mirrors, axis=2, keepdims=True)
    return truths, (jnp.asarray(np.stack(truths), dtype), jnp.asarray(mirrors, dtype))


def test_large_operators(dtype):
    """The depths that anybody asks for."""
    truths, data = large(spectra(LARGE), dtype)
    starts = random_starts(STARTS, LARGE, dtype)
    for i, run in each(all_runs(reflected_operator, data, starts, max_matvecs=DEEP)):
        assert run.broke_down or run.active == DEEP
        depths = [1, 2, 3, 10, 30, 75, 149, int(run.active)]
        for depth in sorted({depth for depth in depths if depth <= run.active}):
            assert_within_bounds(at_depth(run, depth), truths[i], dtype)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clustered", "indefinite", "outliers at both ends"])
def test_large_operators_to_the_last_dimension(dtype, name):
    """Until the Krylov space is all there is, or all that the precision tells apart."""
    (truth,), data = large([name], dtype, WHOLE)
    starts = random_starts(1, WHOLE, dtype)
    ((_, run),) = each(all_runs(reflected_operator, data, starts, max_matvecs=WHOLE))
    assert run.broke_down
    early = (name, dtype) == ("outliers at both ends", np.float32)
    assert run.active > 0.95 * WHOLE or early
    depths = np.append(np.arange(1, run.active, 97), [run.active - 1, run.active])
    for depth in depths:
        assert_within_bounds(at_depth(run, int(depth)), truth, dtype)
    whole = ritz_values(run)
    assert len(whole.values) == run.active
    assert np.median(whole.errors) == whole.rounding  # nothing else is left
