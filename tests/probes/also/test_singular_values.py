"""Shares of singular values, and what T has of the growing ones, against dense matrices."""

from typing import Any

import jax
import numpy as np
import pytest

from hessdiag import spectra
from hessdiag.inner import Cut
from hessdiag.meta import streams
from hessdiag.meta.streams import sources
from hessdiag.probes.also.singular_values import EPS, OPERATORS, SingularValues
from hessdiag.probes.measured import Measured
from hessdiag.probes.settings import ProbeSettings
from tests.meta.conftest import N as STEPS
from tests.meta.conftest import shared_case
from tests.oracles.eq11_terms import DenseUnroll
from tests.probes.also.conftest import ALPHA, D, N, Quadratic, measured, symmetric

KEYS = streams.samples(jax.random.key(0), 0, 4)
KINDS = ("growing", "kept", "shrinking")


def found(of, keys=KEYS):
    part, units = SingularValues(of), []
    values = part.measure(None, keys, jax.random.key(5), progress=units.append, tell=print)
    assert sum(units) == part.units
    return values


def exact(product: np.ndarray, outer: np.ndarray) -> dict[str, Any]:
    """By numpy's singular value decomposition."""
    left, values, _ = np.linalg.svd(product)
    seen = (left.T @ outer) ** 2 / (outer @ outer)
    above, below = values > 1 + EPS, values < 1 - EPS
    return {
        "singular_mass_growing": above.mean(),
        "singular_mass_kept": 1 - above.mean() - below.mean(),
        "singular_mass_shrinking": below.mean(),
        "outer_overlap": seen @ above,
        "outer_stretch": np.sqrt(seen @ values**2),
        "random_stretch": np.sqrt(np.mean(values**2)),
    }


QUADRATIC = Quadratic(
    symmetric(jax.random.key(2), 0.03), symmetric(jax.random.key(3), 0.2), wobble=0.05
)


@pytest.fixture(scope="module")
def of_quadratic():
    """The exact numbers of the unroll of the first sample, step by step in numpy."""
    with jax.enable_x64(True):
        drawn, theta = sources(KEYS[0], N), np.asarray(QUADRATIC.start(None, jax.random.key(1))[0])
        product = np.eye(D)
        for j in range(N):
            _, (matrix, tau) = QUADRATIC.rollout(theta, None, None, drawn.inner[j])
            whole = np.asarray(QUADRATIC.hessian + matrix)
            theta = theta - ALPHA * (whole @ theta + np.asarray(tau))
            product = (np.eye(D) - ALPHA * whole) @ product
        _, (_, tau) = QUADRATIC.rollout(theta, None, None, drawn.validation[-1, 0])
        return exact(product, np.asarray(tau) + theta)


def test_the_example_has_all_kinds(of_quadratic):
    assert all(0 < of_quadratic[f"singular_mass_{kind}"] < 1 for kind in KINDS)
    assert 0.05 < of_quadratic["outer_overlap"] < 0.95


def test_a_few_parameters_are_measured_exactly(of_quadratic):
    values = found(measured(QUADRATIC))
    for name, number in of_quadratic.items():
        assert values[name].shape == (1, len(OPERATORS))
        np.testing.assert_allclose(values[name], number, rtol=1e-9, atol=1e-12)
        if name != "outer_stretch":
            assert (values[f"{name}_error"] < 1e-9).all()


@pytest.mark.parametrize("products", [5, D])
def test_quadratures_hold_the_exact_numbers(of_quadratic, products, monkeypatch):
    """Shares by an interval that one random start in twenty misses; of T, by bounds."""
    monkeypatch.setattr(spectra, "DENSE_LIMIT", 0)
    values = found(measured(QUADRATIC, max_matvecs=products))
    assert (values["singular_matvecs"] <= 2 * products + 2).all()
    for name, number in of_quadratic.items():
        if name == "outer_stretch":
            np.testing.assert_allclose(values[name], number, rtol=1e-9)
        else:
            error = values[f"{name}_error"]
            assert (np.abs(values[name] - number) <= error + 1e-9).all()
    assert (values["outer_overlap_error"] < (1e-9 if products == D else 0.5)).all()
    total = sum(values[f"singular_mass_{kind}"] for kind in KINDS)
    np.testing.assert_allclose(total, 1, atol=1e-9)


@pytest.fixture(scope="module")
def of_adam():
    """A network under Adam with dead units; what it measures, and its dense derivatives."""
    with jax.enable_x64(True):
        case = shared_case("mrp", "adam", clip=0.0)
        settings = ProbeSettings(unrolls=1)
        of = Measured(
            case.system, lambda *_: case.start, STEPS, settings, {}, {}, [], "", memory=0.9
        )
        return found(of, keys=case.key[None]), DenseUnroll(case)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_operators_of_adam(of_adam, name):
    """Without clipping the preconditioned one is the update with its memory cut."""
    values, dense = of_adam
    size = dense.size
    product = np.eye(len(dense.steps[0][0]))
    for at_rest, by_gradient, clip, hessian, mixed, alpha in dense.steps:
        if name == "paper":
            step = np.eye(len(product))
            step[:size, :size] -= alpha * hessian
        else:
            cut = Cut(hessian=True, memory=name == "augmented")
            step, _ = dense._along(cut, at_rest, by_gradient, clip, hessian, mixed, alpha)
        product = step @ product
    outer = dense.outer_gradient(STEPS)[:size]
    for variable, number in exact(product[:size, :size], outer).items():
        made = values[variable][0, OPERATORS.index(name)]
        assert made == pytest.approx(number, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("limit", [0, 500])
def test_no_outer_gradient_has_no_overlap(limit, monkeypatch):
    """Not a number, and no failure; what needs no T is known."""
    monkeypatch.setattr(spectra, "DENSE_LIMIT", limit)

    class Silent(Quadratic):
        def outer_loss(self, params, hyper, trajectories):
            return 0 * super().outer_loss(params, hyper, trajectories)

    silent = Silent(QUADRATIC.hessian, QUADRATIC.response)
    values = found(measured(silent, operators=(), max_matvecs=4))
    assert np.isnan(values["outer_overlap"]).all()
    assert np.isnan(values["outer_stretch"]).all()
    assert np.isfinite(values["singular_mass_growing"]).all()


def test_without_operators_nothing_is_measured():
    assert found(measured(QUADRATIC, operator_unrolls=0)) == {}
