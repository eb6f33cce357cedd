"""What a probe records against dense Hessians of the very losses that training uses."""

import dataclasses

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.sparse.linalg import LinearOperator, eigsh

from hessdiag import spectra
from hessdiag.meta import point, sources, unroll
from hessdiag.meta.streams import run_keys
from hessdiag.probes.inner_loop import InnerLoopSpectra, inner_loop_variables
from hessdiag.probes.spectral import SpectralProbe
from hessdiag.record.schema import SCHEMA
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.probe import measured_by, probe_of

KEYS = run_keys(0)

N = 2
STEPS = ("unroll", "inner_step")
SNAKE = {
    "env": "snake",
    "problem.rows": 5,
    "problem.cols": 5,
    "problem.batch_size": 8,
    "problem.rollout_length": 6,
    "problem.maps": 6,
    "problem.torso": 8,
    "problem.head": 6,
}
MRP = {"env": "mrp", "problem.batch_size": 8}


@dataclasses.dataclass
class Measured:
    """A probe's spectra, and the dense spectra on the same unroll."""

    learner: Learner
    state: object
    loop: InnerLoopSpectra
    places: list  # flat θ^(j) and τ^(j) of every inner step
    dense: list  # (n, d) eigenvalues of ∇²L, ascending
    settings: object

    @property
    def steps(self):
        return self.loop.hessians


def measure(flags) -> Measured:
    settings = resolve(
        {
            "n": N,
            "probe.max_matvecs": 80,
            "probe.tolerance": 1e-5,
            "probe.unrolls": 1,
            "probe.operators": [],
            "probe.products": False,
            **flags,
        }
    )
    learner = Learner(settings)
    state = learner.init(KEYS.init)
    for t in range(3):
        state, _ = learner.step(state, jax.random.fold_in(KEYS.train, t))
    key = jax.random.key(7)
    probe = SpectralProbe(measured_by(learner, settings))
    (loop,) = probe.measure(state, key[None], jax.random.key(8), progress=lambda: None)
    places, dense = dense_spectra(learner, state, [key])
    return Measured(learner, state, loop, places, dense, settings)


def dense_spectra(learner, state, keys):
    """Where the steps of the keys' unrolls are, and eigenvalues by jax.hessian, in float64."""
    unravel = ravel_pytree(state.inner.params)[1]
    hessian = jax.jit(
        jax.hessian(lambda x, seen: learner.system.update.loss(unravel(x), state.eta, seen))
    )
    unrolled = jax.jit(
        lambda key: unroll(learner.system, learner.start(state, key), sources(key, N))
    )
    places, spectra = [], []
    for points in map(unrolled, keys):
        for j in range(N):
            flat = ravel_pytree(point(points.states, j).params)[0]
            places.append((flat, point(points.trajectories, j)))
            matrix = np.asarray(hessian(*places[-1]), np.float64)
            spectra.append(np.linalg.eigvalsh((matrix + matrix.T) / 2))
    return places, spectra


@pytest.fixture(scope="module", params=[SNAKE, MRP], ids=["snake", "mrp"])
def measured(request):
    return measure(request.param)


def test_small_problems_are_solved_whole_and_large_ones_by_lanczos(measured):
    size = len(measured.dense[0])
    runs = measured.steps[0].runs
    assert all(run.exact for run in runs) == (size <= spectra.DENSE_LIMIT)
    assert (size > spectra.DENSE_LIMIT) == (measured.settings.env == "snake")


def test_extremes_equal_the_dense_hessians(measured):
    for step, dense in zip(measured.steps, measured.dense, strict=True):
        scale = np.abs(dense).max()
        assert abs(step.ends.lowest - dense[0]) <= step.ends.lowest_error
        assert abs(step.ends.highest - dense[-1]) <= step.ends.highest_error
        assert step.ends.highest_error < 1e-3 * scale


def test_extremes_equal_eigsh(measured):
    """scipy's ARPACK on the same Hessian-vector product."""
    update, state = measured.learner.system.update, measured.state
    (flat, seen), unravel = measured.places[1], ravel_pytree(state.inner.params)[1]
    gradient = jax.grad(lambda x: update.loss(unravel(x), state.eta, seen))
    product = jax.jit(lambda v: jax.jvp(gradient, (flat,), (v,))[1])

    class Products(LinearOperator):
        def _matvec(self, x):
            return np.asarray(product(x.astype(np.float32)))

    operator = Products(np.float32, (flat.size, flat.size))
    low, high = np.sort(eigsh(operator, k=2, which="BE", return_eigenvectors=False))
    ends = measured.steps[1].ends
    assert abs(ends.lowest - low) <= ends.lowest_error + 1e-4 * abs(high)
    assert abs(ends.highest - high) <= ends.highest_error + 1e-4 * abs(high)


def test_spectral_radius_is_that_of_the_dense_update_matrix(measured):
    """ρ(I + H) − 1 from the dense matrix, and the verdict on it."""
    for step, dense in zip(measured.steps, measured.dense, strict=True):
        radius = np.abs(1.0 - step.alpha * dense).max()
        error = step.shifted.spectral_radius_minus_one_error + 1e-15
        assert abs(step.shifted.spectral_radius_minus_one - (radius - 1.0)) <= error
        assert step.shifted.exceeds_one == ("yes" if radius - 1.0 > error else "undecided")


def test_learning_rate_is_the_one_in_force_at_the_inner_step(measured):
    schedule = measured.learner.system.update.rate
    expected = [float(schedule(3 + j)) for j in range(N)]
    np.testing.assert_allclose([step.alpha for step in measured.steps], expected, rtol=1e-7)


def test_moments_of_the_density_equal_traces(measured):
    """Σw λ and Σw λ² against trace/d, within four standard errors of the random starts."""
    for step, dense in zip(measured.steps, measured.dense, strict=True):
        size = len(dense)
        for order in (1, 2):
            truth = np.mean(dense**order)
            mean, _ = spectra.moment(step.runs, order)
            spread = np.sqrt(2 * np.mean(dense ** (2 * order)) / size / len(step.runs))
            slack = 1e-4 * np.abs(dense).max() ** order
            assert abs(mean - truth) <= 4 * spread + slack


def test_masses_are_counts_of_dense_eigenvalues(measured):
    for step, dense in zip(measured.steps, measured.dense, strict=True):
        masses = step.masses
        parts = (masses.above, masses.inside, masses.below, masses.zero)
        np.testing.assert_allclose(sum(part[0] for part in parts), 1.0, rtol=1e-6)
        negative = np.mean(dense < 0)
        zero = np.mean(np.abs(dense) < 1e-6 * np.abs(dense).max())
        allowed = zero + masses.undecided[0] + 4 * (masses.above[1] + masses.undecided[1]) + 0.01
        assert abs(masses.above[0] - negative) <= allowed


def test_variables_hold_the_measurements(measured):
    variables = inner_loop_variables([measured.loop])
    values = variables["spectral_radius_minus_one"]
    expected = [[step.shifted.spectral_radius_minus_one for step in measured.steps]]
    np.testing.assert_array_equal(values, expected)
    ritz = variables["ritz_value"][0, 0, 0]
    run = measured.steps[0].runs[0].values
    np.testing.assert_array_equal(ritz[: len(run)], run)
    assert np.isnan(ritz[len(run) :]).all()
    assert not any(name.startswith(("operator_", "product_")) for name in variables)


def test_spectra_are_measured_on_the_unrolls_of_the_first_samples():
    """The unroll of sample k in the spectra has the randomness of sample k of the variance."""
    settings = resolve(
        {
            **MRP,
            "n": N,
            "probe.samples": 4,
            "probe.unrolls": 2,
            "probe.operators": [],
            "probe.products": False,
            "train.iterations": 9,
        }
    )
    learner = Learner(settings)
    state = learner.init(KEYS.init)
    prober = probe_of(learner, settings)
    dataset = prober(state, 5, keys=KEYS, progress=lambda _: None)
    keys = jax.random.split(jax.random.fold_in(KEYS.probe, 5), 4)
    _, dense = dense_spectra(learner, state, keys[:2])
    highest = np.reshape([eigenvalues[-1] for eigenvalues in dense], (2, N))
    np.testing.assert_allclose(dataset.hessian_max, highest, rtol=1e-4)
    assert dataset.hessian_max[0, 0] != dataset.hessian_max[1, 0]


def test_every_variable_is_what_its_name_says(measured):
    variables = inner_loop_variables([measured.loop])
    alpha = variables["learning_rate"]
    for j, dense in enumerate(measured.dense):
        at = {
            name: values[0, j] for name, values in variables.items() if SCHEMA[name].dims == STEPS
        }
        assert abs(at["hessian_min"] - dense[0]) <= at["hessian_min_error"]
        assert abs(at["hessian_max"] - dense[-1]) <= at["hessian_max_error"]
        np.testing.assert_allclose(at["paper_low"], -alpha[j] * at["hessian_max"])
        np.testing.assert_allclose(at["paper_high"], -alpha[j] * at["hessian_min"])
        np.testing.assert_allclose(at["paper_high_error"], alpha[j] * at["hessian_min_error"])
        step = measured.steps[j]
        for name, mass in (
            ("mass_above_zero", step.masses.above),
            ("mass_inside", step.masses.inside),
            ("mass_below_minus_two", step.masses.below),
            ("mass_at_zero", step.masses.zero),
            ("mass_undecided", step.masses.undecided),
        ):
            assert (at[name], at[f"{name}_error"]) == mass
        assert at["matvecs"] == sum(run.matvecs for run in step.runs)
        assert at["exceeds_one"] == step.shifted.exceeds_one
        assert at["converged"] == all(run.converged for run in step.runs)
