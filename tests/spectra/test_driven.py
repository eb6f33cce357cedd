"""Lanczos driven from the host, on matrices whose spectrum is known."""

from typing import Any

import jax
import numpy as np
import pytest

from hessdiag.spectra.basis import DeviceBasis
from hessdiag.spectra.checks import NonSymmetricOperatorError
from hessdiag.spectra.deflated_trace import DeflatedTrace
from hessdiag.spectra.driven import DrivenLanczos
from hessdiag.spectra.ritz import ritz_values
from tests.oracles.families import FAMILIES
from tests.oracles.spectra import low_rank_factors, prescribed_matrix, tolerance

SPECTRA = {
    "cubes": np.linspace(-1, 2, 200) ** 3,
    "outliers": np.concatenate([np.linspace(0, 0.1, 190), np.linspace(2, 100, 7), [-3, -2, -1]]),
    "repeated": np.repeat([-1.0, 0.0, 2.0, 5.0], 50),
    "tiny": 1e-30 * np.linspace(-1, 2, 200) ** 3,
    "huge": 1e30 * np.linspace(-1, 2, 200) ** 3,
}


def driven(product, size, steps, dtype: Any = np.float32, seed=0, offsets=None):
    random = np.random.default_rng(seed)
    start = random.standard_normal(size).astype(dtype)
    run = DrivenLanczos(product, start, random=random, offsets=offsets)
    while run.grows and run.active < steps:
        run.step()
    return run


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("steps", [1, 40, 200, 300])
def test_every_value_is_within_its_error_of_an_eigenvalue(name, dtype, steps):
    values = np.sort(SPECTRA[name])
    matrix = prescribed_matrix(values).astype(dtype)
    run = driven(lambda v: matrix @ v, 200, steps, dtype)
    found = ritz_values(run.decomposition(1e-4))
    distance = np.abs(found.values[:, None] - values).min(axis=1)
    assert (distance <= found.errors).all()
    assert found.orthogonality <= tolerance(dtype, 1)
    assert found.weights.sum() == pytest.approx(1)
    if steps >= 200:
        assert found.matvecs == 200
        assert found.converged
        np.testing.assert_allclose(found.values, values, atol=float(found.errors[0]))
    if name == "outliers" and steps == 40:
        assert found.converged
        ends = np.abs(found.values[[0, -1]] - values[[0, -1]])
        assert (ends <= found.errors[[0, -1]]).all()


def test_on_an_accelerator_the_same_comes_out(monkeypatch):
    """Its basis works on any device; here on the host's own."""
    matrix = prescribed_matrix(SPECTRA["cubes"]).astype(np.float32)
    host = driven(lambda v: matrix @ v, 200, 40)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    device = driven(lambda v: matrix @ v, 200, 40)
    monkeypatch.undo()
    assert isinstance(device._basis, DeviceBasis)
    assert not isinstance(host._basis, DeviceBasis)
    found, other = (ritz_values(run.decomposition(1e-4)) for run in (device, host))
    assert found.orthogonality <= tolerance(np.float32, 1)
    gap = np.abs(found.values[[0, -1]] - other.values[[0, -1]])
    assert (gap <= found.errors[[0, -1]]).all()
    ends = [run.between_ends()[0] for run in (device, host)]
    assert abs(ends[0] @ ends[1]) == pytest.approx(1, abs=1e-3)
    assert np.linalg.norm(device.outside(ends[1])) < 1e-3
    assert abs(device.largest_vector() @ host.largest_vector()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_a_flat_bulk_hides_nothing(seed):
    """A residual of eps sqrt(d) looks like rounding, and leads to the outlier."""
    size = 100_000
    direction = np.random.default_rng(100).standard_normal(size)
    direction = (direction / np.linalg.norm(direction)).astype(np.float32)

    def product(v):
        return v + np.float32(0.01) * (direction @ v) * direction

    found = ritz_values(driven(product, size, 12, seed=seed).decomposition(1e-4))
    assert abs(found.values[-1] - 1.01) <= found.errors[-1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_invariant_space_ends_no_run(dtype):
    values = np.linspace(-1, 50, 12)
    factors = low_rank_factors(2000, values).astype(dtype)
    signs = np.sign(values).astype(dtype)
    run = driven(lambda v: factors @ (signs * (factors.T @ v)), 2000, 40, dtype)
    found = ritz_values(run.decomposition(1e-4))
    assert found.matvecs == 40
    truth = np.concatenate([values, [0.0]])
    assert (np.abs(found.values[:, None] - truth).min(axis=1) <= found.errors).all()
    assert np.sum(np.abs(found.values) > 0.1) == 12  # no value twice
    assert found.orthogonality <= tolerance(dtype, 1)


@pytest.mark.parametrize("factor", [0.0, 1.0, -2.5])
def test_a_multiple_of_the_identity(factor):
    found = ritz_values(driven(lambda v: np.float32(factor) * v, 700, 9).decomposition(1e-4))
    np.testing.assert_allclose(found.values, factor, atol=float(found.errors[0]))
    assert found.converged


def test_a_product_that_is_not_finite_ends_it():
    matrix = np.diag(np.arange(600.0)).astype(np.float32)
    calls = iter([1.0, 1.0, np.nan])
    run = driven(lambda v: np.float32(next(calls)) * (matrix @ v), 600, 20)
    assert run.failed
    assert run.active == 3
    found = ritz_values(run.decomposition(1e-4))
    assert np.isnan(found.values).all()
    assert not found.converged


@pytest.mark.parametrize("skew", [1e-5, 1e-2, 1.0])
def test_asymmetry_is_measured(skew):
    matrix = prescribed_matrix(np.linspace(-1, 2, 600)).astype(np.float32)
    turned = np.triu(np.random.default_rng(0).standard_normal((600, 600)), 1)
    turned = ((turned - turned.T) / np.linalg.norm(turned, 2)).astype(np.float32)
    plain = driven(lambda v: matrix @ v, 600, 12).decomposition(0).asymmetry
    skewed = driven(lambda v: matrix @ v + skew * (turned @ v), 600, 12).decomposition(0).asymmetry
    assert plain <= 10 * np.finfo(np.float32).eps
    assert skewed >= 0.01 * skew


OFFSETS = np.array([0, 10, 70])


def test_traces_of_blocks_add_up_and_cover_the_truth():
    """By 95 % intervals: of 3 blocks and the whole over 60 seeds, 90 % to 99 %."""
    values = SPECTRA["outliers"]
    matrix = prescribed_matrix(values)
    truth = np.add.reduceat(np.diag(matrix), OFFSETS)
    covered = []
    for seed in range(60):
        run = driven(lambda v: matrix @ v, 200, 20, np.float64, seed, OFFSETS)
        trace = DeflatedTrace(run, lambda v: matrix @ v, OFFSETS)
        spent = sum(trace.sample(np.random.default_rng(seed + 1000), 12, np.dtype(np.float64)))
        assert spent == 12
        blocks, errors = trace.blocks()
        whole, error = trace.whole()
        assert whole == pytest.approx(blocks.sum())
        covered += [*(np.abs(blocks - truth) <= errors), abs(whole - values.sum()) <= error]
    assert 0.9 <= np.mean(covered) <= 0.99


def test_a_trace_of_a_whole_space_is_exact():
    matrix = prescribed_matrix(np.linspace(-1, 5, 30))
    run = driven(lambda v: matrix @ v, 30, 30, np.float64, offsets=np.array([0]))
    trace = DeflatedTrace(run, lambda v: matrix @ v, np.array([0]))
    assert list(trace.sample(np.random.default_rng(0), 5, np.dtype(np.float64))) == []
    value, error = trace.whole()
    assert abs(value - np.trace(matrix)) <= error < 1e-12


@pytest.mark.parametrize("seed", range(6))
def test_slight_asymmetry_between_close_eigenvalues_is_refused_or_in_the_errors(seed):
    """Consecutive vectors hardly see it: all pairs of the run do."""
    family = FAMILIES["slightly skewed"]
    case = family.make(seed)
    operator = family.build(case.data)
    run = driven(jax.jit(operator.product), case.size, 40, seed=seed)
    try:
        found = ritz_values(run.decomposition(1e-4))
    except NonSymmetricOperatorError:
        return
    distance = np.abs(found.values[:, None] - case.truth).min(axis=1)
    assert (distance <= found.errors).all()
