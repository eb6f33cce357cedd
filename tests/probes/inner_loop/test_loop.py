"""What is measured along an inner loop, against dense matrices of the same inner steps."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag.probes.inner_loop import (
    InnerLoop,
    InnerLoopSettings,
    InnerLoopSpectra,
    inner_loop_variables,
    operator_names,
)
from hessdiag.record.schema import described
from hessdiag.spectra import dense_matrix
from tests.oracles.spectra import mlp_loss, mlp_problem
from tests.oracles.steps import inner_step

N, ALPHA = 3, 3e-2
TRANSFORMATIONS = {
    "adam": optax.adam(ALPHA),
    "clipped": optax.sgd(ALPHA, momentum=0.8),
}


def clip_hard(gradient):
    """Gradient of norm 0.05: active at every step."""
    scale = 0.05 / optax.tree.norm(gradient)
    return jax.tree.map(lambda leaf: scale * leaf, gradient)


@dataclasses.dataclass(frozen=True)
class Problem:
    """Inner steps of an optimiser, and dense N of every operator at every step, in float64."""

    linearise: Callable
    points: Any
    dense: list[dict[str, np.ndarray]]
    responses: list[np.ndarray]


@dataclasses.dataclass(frozen=True)
class Case(Problem):
    """And the measured spectra."""

    name: str
    loop: InnerLoopSpectra
    progress: int
    units: int


@functools.cache
def problem(name: str) -> Problem:
    """Three steps, after two steps of history."""
    params, inputs, labels = mlp_problem(np.float64, sizes=(5, 7, 6, 3))
    optimiser, clip = TRANSFORMATIONS[name], clip_hard if name == "clipped" else None

    def batch(j):
        return inputs * (1 + 0.2 * j)

    def linearise(at):
        params, opt_state, seen = at
        return inner_step(
            lambda p: mlp_loss(p, seen, labels),
            optimiser,
            params,
            opt_state,
            clip=clip,
            learning_rate=ALPHA,
        )

    @jax.jit
    def advanced(params, state, seen):
        gradient = jax.grad(mlp_loss)(params, seen, labels)
        change, state = optimiser.update(clip(gradient) if clip else gradient, state, params)
        return optax.apply_updates(params, change), state

    points, state = [], optimiser.init(params)
    for j in range(-2, N):
        if j >= 0:
            points.append((params, state, batch(j)))
        params, state = advanced(params, state, batch(j))

    @jax.jit
    def products(at):
        step = linearise(at)
        names = ("paper", "preconditioned", "update", "augmented")
        shifts = {name: dense_matrix(getattr(step, name).minus_identity) for name in names}
        return shifts, dense_matrix(step.response)

    dense, responses = zip(*[jax.device_get(products(at)) for at in points], strict=True)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *points)
    return Problem(linearise, stacked, list(dense), list(responses))


@pytest.fixture(scope="module", params=TRANSFORMATIONS)
def case(request):
    settings = InnerLoopSettings(max_matvecs=300, tolerance=1e-9, departure_probes=16, paths=True)
    with jax.enable_x64(True):
        at, calls = problem(request.param), []
        loop = InnerLoop(at.linearise, settings)
        spectra = loop.measure(at.points, jax.random.key(0), progress=lambda: calls.append(None))
        yield Case(
            **vars(at), name=request.param, loop=spectra, progress=len(calls), units=loop.units(N)
        )


def test_spectral_radii_equal_dense_ones_within_their_errors(case):
    for name, spectra in case.loop.operators.items():
        for spectrum, dense in zip(spectra, case.dense, strict=True):
            truth = np.max(np.abs(1 + np.linalg.eigvals(dense[name]))) - 1
            assert spectrum.ritz.converged
            assert abs(spectrum.radius.minus_one - truth) <= spectrum.radius.error
            assert abs(spectrum.radius.minus_one - truth) < 1e-6
            assert spectrum.radius.exceeds_one in ("undecided", "yes" if truth > 0 else "no")


def test_the_papers_radius_is_that_of_the_dense_matrix(case):
    for spectrum, dense in zip(case.loop.hessians, case.dense, strict=True):
        truth = np.max(np.abs(1 + np.linalg.eigvalsh(dense["paper"]))) - 1
        error = spectrum.shifted.spectral_radius_minus_one_error
        assert abs(spectrum.shifted.spectral_radius_minus_one - truth) <= error + 1e-12


def test_norms_of_products_equal_dense_ones(case):
    """P_i multiplies the operators of the last i - 1 inner steps, the newest on the left."""
    size = len(case.dense[0]["paper"])
    for name, norms in case.loop.products.items():
        product = np.eye(len(case.dense[0][name]))
        for i, measured in enumerate(norms, start=1):
            truth = np.linalg.norm(product[:size, :size], 2) - 1
            assert abs(measured.norm.minus_one - truth) <= measured.norm.error + 1e-9
            product = product @ (np.eye(len(product)) + case.dense[N - i][name])
    assert list(case.loop.products) == ["paper", "preconditioned", "update", "augmented"]


def test_norms_of_gradient_paths_equal_dense_ones(case):
    """Of theta's rows of the augmented maps after the response to the gradient."""
    size = len(case.dense[0]["paper"])
    after = np.eye(len(case.dense[0]["augmented"]))[:size]
    for j in reversed(range(N)):
        truth = np.linalg.norm(after @ case.responses[j], 2)
        measured = case.loop.paths[j]
        assert measured.converged
        assert abs(measured.value - truth) <= measured.error + 1e-12 * truth
        after = after @ (np.eye(after.shape[1]) + case.dense[j]["augmented"])


def test_a_norm_that_two_operators_share_is_measured_once(case):
    """That of one step: the paper's is a spectral radius, the augmented one the update's."""
    one_step = {name: norms[1] for name, norms in case.loop.products.items()}
    shared = [name for name, norm in one_step.items() if norm.matvecs == 0]
    assert shared == ["paper", "augmented"]
    assert one_step["augmented"].norm == one_step["update"].norm


def test_the_augmented_norm_of_one_step_is_the_updates_though_it_was_not_asked_for():
    settings = InnerLoopSettings(operators=("preconditioned", "augmented"), tolerance=1e-9)
    with jax.enable_x64(True):
        at = problem("clipped")
        loop = InnerLoop(at.linearise, settings).measure(at.points, jax.random.key(0))
    norms = {name: np.linalg.norm(np.eye(len(m)) + m, 2) - 1 for name, m in at.dense[-1].items()}
    measured = loop.products["augmented"][1].norm
    assert abs(measured.minus_one - norms["update"]) <= measured.error
    assert abs(norms["preconditioned"] - norms["update"]) > 10 * measured.error


def test_departures_bound_the_dense_ones(case):
    """|A|_F^2 - sum |lambda|^2 in the same coordinates; a fifth is left to the random probes."""
    for name, spectra in case.loop.operators.items():
        for spectrum, dense in zip(spectra, case.dense, strict=True):
            squares = np.sum(np.abs(np.linalg.eigvals(dense[name])) ** 2)
            departure, frobenius = spectrum.departure.bound, spectrum.departure.frobenius
            assert frobenius**2 > 0.8 * squares
            assert departure**2 > 0.8 * (frobenius**2 - squares) - 0.2 * squares


def test_update_and_preconditioned_differ_where_clipping_is_active(case):
    """Where it is not, they are one operator, and are measured once."""
    update, preconditioned = (case.loop.operators[name][0] for name in ("update", "preconditioned"))
    assert (update is preconditioned) == (case.name == "adam")
    assert (update.radius == preconditioned.radius) == (case.name == "adam")


def test_an_inner_step_that_fails_spoils_no_later_one():
    """The second of three steps has no finite Hessian, and leaves no warm start."""
    curvatures = np.stack([np.linspace(-1, 2, 6), np.full(6, np.nan), np.linspace(-2, 1, 6)])

    descent = optax.sgd(ALPHA)

    def linearise(at):
        params, curvature = at
        state = descent.init(params)
        return inner_step(lambda p: jnp.sum(curvature * p**2) / 2, descent, params, state)

    settings = InnerLoopSettings(operators=("preconditioned",), products=False)
    loop = InnerLoop(linearise, settings)
    found = loop.measure((jnp.ones((3, 6)), jnp.asarray(curvatures)), jax.random.key(0))
    radii = [spectrum.radius.minus_one for spectrum in found.operators["preconditioned"]]
    np.testing.assert_allclose(radii, [ALPHA, np.nan, 2 * ALPHA], rtol=1e-4)


def test_progress_is_called_as_often_as_announced(case):
    assert case.progress == case.units


def test_variables_hold_what_was_measured(case):
    made = inner_loop_variables([case.loop, case.loop])
    names = operator_names([case.loop])
    assert names == ["paper", "preconditioned", "update", "augmented"]
    assert described(made).sizes["operator"] == len(names)  # the dimensions of the schema fit
    radii = made["operator_radius_minus_one"]
    for k, name in enumerate(names[1:], start=1):
        expected = [spectrum.radius.minus_one for spectrum in case.loop.operators[name]]
        np.testing.assert_array_equal(radii[1, :, k], expected)
    paper = [spectrum.shifted.spectral_radius_minus_one for spectrum in case.loop.hessians]
    np.testing.assert_array_equal(radii[0, :, 0], paper)
    frobenius = made["operator_frobenius"][0, :, 0]
    truth = [np.linalg.norm(dense["paper"]) for dense in case.dense]
    np.testing.assert_allclose(frobenius, truth, rtol=1e-6)
    norms = made["product_norm_minus_one"]
    expected = [[case.loop.products[name][i].norm.minus_one for name in names] for i in range(N)]
    np.testing.assert_array_equal(norms[0], expected)
    values = made["operator_value_real"] + 1j * made["operator_value_imag"]
    ritz = case.loop.operators["augmented"][1].ritz.values
    np.testing.assert_array_equal(values[0, 1, 3, : len(ritz)], ritz)
    assert np.isnan(values[0, 1, 0, len(case.loop.hessians[1].runs[0].values) :]).all()
