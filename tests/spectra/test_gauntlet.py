"""The conformance suite: cases that published Hessian tools fail, the truth being known in each.

One rule for all: every value lies within its own error of an eigenvalue, no eigenvalue is listed
more often than it occurs, and starts that say that they converged, and agree, have both ends within
the tolerance asked for. Every case runs over twenty seeds, three scales and both dtypes.
"""

import functools
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag import api, spectra
from hessdiag.spectra import (
    NonSymmetricOperatorError,
    dense_matrix,
    extremes,
    hessian,
    lanczos,
    linear,
    ritz_values,
)
from hessdiag.spectra.chunked import chunked
from hessdiag.spectra.trace import sketched_trace
from tests.oracles import gauntlet
from tests.oracles.gauntlet import CASES, SCALES, SEEDS
from tests.oracles.gauntlet_runs import (
    all_runs,
    assert_breaks_down_exactly,
    assert_flags_are_raised,
    assert_honest,
    assert_refuses_asymmetry,
    classifier_operator,
    classifier_truths,
    of_case,
    over_all,
    policy_gradient_operator,
    seed_starts,
    stacked,
)
from tests.oracles.spectra import matrix_operator, random_starts, tolerance


@functools.cache
def up_to(max_matvecs):
    """Lanczos of this depth: one function, so that cases of one size share a program."""

    def run(operator, start, tolerance):
        return lanczos(operator, start, max_matvecs=max_matvecs, tolerance=tolerance)

    return run


def answers(operator_of, data, size, dtype, tolerances, *, max_matvecs):
    """`answers[seed][scale][tolerance]`: Ritz values, and whether each run broke down."""
    starts = random_starts(len(data), size, dtype)
    runs = all_runs(up_to(max_matvecs), operator_of, data, starts, tolerances)
    return over_all(ritz_values, runs), over_all(lambda run: bool(run.broke_down), runs)


@functools.cache
def answers_to(name, dtype):
    """A case of the data module, asked as it says."""
    case = CASES[name]
    asked = (*case.tolerances, 1e-4)[:3]  # as many of each case, so that they share a program
    return answers(*of_case(case), case.size, dtype, asked, max_matvecs=case.max_matvecs)


@pytest.mark.parametrize("name", CASES)
def test_every_run_is_honest(dtype, name):
    """G1 to G6, and with them G11: no flag says more than is true."""
    case = CASES[name]
    ritz, _ = answers_to(name, dtype)
    for i, scale in enumerate(SCALES):
        for j, asked in enumerate(case.tolerances):
            assert_honest(ritz[:, i, j], scale * case.truth, dtype, asked)
    assert all(run.matvecs <= min(case.max_matvecs, case.size) for run in ritz.ravel())


@pytest.mark.parametrize("name", ["G1", "G2", "G3", "G4", "G4 beyond d", "G6"])
def test_flags_are_raised_where_the_ends_are_easy(dtype, name):
    """G11: honesty by never saying that a run has converged would be no answer."""
    case = CASES[name]
    ritz, _ = answers_to(name, dtype)
    assert_flags_are_raised(ritz, case)


def test_g1_breaks_down_with_the_exact_spectrum(dtype):
    case = CASES["G1"]
    ritz, broke_down = answers_to("G1", dtype)
    assert_breaks_down_exactly(ritz, broke_down, case, dtype)


def test_g1b_tabular_policy_gradient(dtype):
    """An exact Hessian of rank 18 by forward over reverse, unvisited states and softmax gauge."""
    problems = [gauntlet.policy_gradient(seed) for seed in SEEDS]
    data = [vars(problem) for problem in problems]
    ritz, broke_down = answers(
        policy_gradient_operator, data, 200, dtype, (0.0, 1e-4), max_matvecs=40
    )
    for seed, problem in enumerate(problems):
        truth = np.linalg.eigvalsh(problem.hessian)
        for i, scale in enumerate(SCALES):
            for j, asked in enumerate((0.0, 1e-4)):
                run = ritz[seed, i, j]
                assert_honest([run], scale * truth, dtype, asked)
                misses = np.abs(run.values[[0, -1]] - scale * truth[[0, -1]])
                assert (misses <= run.errors[[0, -1]]).all()
    assert broke_down[:, :, 0].all()
    assert all(run.converged and run.matvecs <= 24 for run in ritz[:, :, 1].ravel())


def test_g2_lists_each_outlier_once(dtype):
    truth = CASES["G2"].truth
    expected = truth[np.abs(truth) >= 2]
    ritz, _ = answers_to("G2", dtype)
    for i, scale in enumerate(SCALES):
        for run in ritz[:, i, 0]:
            assert run.matvecs == 60
            found = run.values[np.abs(run.values) > 1.5 * scale] / scale
            np.testing.assert_allclose(found, expected, atol=tolerance(dtype, 100.0))


def test_g3_ends_soon(dtype):
    ritz, _ = answers_to("G3", dtype)
    assert all(run.matvecs < 30 for run in ritz[:, :, 1].ravel())


@pytest.mark.parametrize("name", ["G4", "G4 beyond d"])
def test_g4_early_breakdown_pads_nothing(dtype, name):
    """A run ends with the eight eigenvalues, or at its next look; it makes no others up."""
    distinct = np.linspace(4, 8, 8)
    ritz, _ = answers_to(name, dtype)
    for i, scale in enumerate(SCALES):
        for run in ritz[:, i, 1]:
            assert run.matvecs in (8, 12)
            apart = np.abs(run.values[:, None] - scale * distinct)
            assert np.all(np.min(apart, axis=1) <= run.errors)
            assert np.max(np.min(apart, axis=0)) <= tolerance(dtype, 8.0) * scale
        for run in ritz[:, i, 0]:
            assert np.min(run.values) > 3.9 * scale


def test_g5_the_scale_of_the_operator_does_not_matter(dtype):
    """Same values, same errors, same stop up to one test of convergence, and fewer products."""
    ritz, _ = answers_to("G5", dtype)
    coarse, fine = (ritz[:, :, j] for j in (1, 2))
    assert all(run.converged for run in coarse.ravel())
    for runs in (*coarse, *fine):
        assert np.ptp([run.matvecs for run in runs]) <= 4
        ends = np.array([run.values[[0, -1]] / s for run, s in zip(runs, SCALES, strict=True)])
        asked = 1e-2 if runs is coarse[0] else 1e-4
        np.testing.assert_allclose(ends, ends[[1, 1, 1]], atol=3 * asked)
    mean = [np.mean([run.matvecs for run in runs.ravel()]) for runs in (coarse, fine)]
    assert mean[0] < mean[1] - 4


def test_g7_unequal_batches_weigh_by_their_examples(dtype):
    """Eight examples and two, by `chunked`: the Hessian of all ten, to rounding."""
    problems = [gauntlet.ragged_regression(seed) for seed in SEEDS]

    def loss(theta, batch):
        inputs, signs = batch
        margins = jnp.matmul(inputs, theta, precision="highest")
        return jnp.mean(jnp.logaddexp(0, -signs * margins))

    def operator_of(data):
        batch = data["inputs"], data["signs"]
        return hessian(lambda theta: chunked(loss, 8)(theta, batch), data["theta"])

    data = [vars(problem) for problem in problems]
    ritz, _ = answers(operator_of, data, 6, dtype, (0.0,), max_matvecs=10)
    dense = jax.jit(lambda data: jax.lax.map(lambda d: dense_matrix(operator_of(d)), data))
    matrices = dense(stacked(data, dtype))
    for problem, matrix, runs in zip(problems, matrices, ritz[:, :, 0], strict=True):
        truth = problem.hessian
        norm = float(np.linalg.norm(truth, 2))
        assert np.linalg.norm(problem.mean_of_batch_means - truth, 2) > 1e-3 * norm
        np.testing.assert_allclose(matrix, truth, atol=tolerance(dtype, norm))
        for run, scale in zip(runs, SCALES, strict=True):
            values = scale * np.linalg.eigvalsh(truth)
            assert_honest([run], values, dtype, 0.0)
            assert (np.abs(run.values - values) <= run.errors).all()


@pytest.mark.parametrize("asymmetry", [1.0, 1e-2])
def test_g8_asymmetry_is_measured_and_refused(dtype, asymmetry):
    """Symmetric Lanczos would have given the spectrum of (A + A') / 2 without a word."""
    assert_refuses_asymmetry(up_to(20), ritz_values, seed_starts(200, dtype), asymmetry)


def test_g8_what_is_not_declared_symmetric_is_refused_at_once():
    matrix = jnp.asarray(gauntlet.asymmetric_matrix(0, 1.0))
    with pytest.raises(NonSymmetricOperatorError, match=r"declared symmetric .its symm"):
        lanczos(linear(lambda v: matrix @ v, matrix[0]), matrix[0], max_matvecs=3, tolerance=0.0)


@jax.jit
def all_traces(matrices):
    keys = jax.random.split(jax.random.key(0), len(matrices))

    def of_seed(arguments):
        matrix, key = arguments
        return sketched_trace(matrix_operator(matrix), key, num_matvecs=60)

    return jax.lax.map(of_seed, (matrices, keys))


def test_g9_the_trace_comes_with_a_calibrated_error(dtype):
    """Within 4 standard errors for every seed, which are neither too small nor vacuous.

    The other scales are those of the trace's own tests.
    """
    case = CASES["G2"]
    matrices = jnp.asarray(np.stack([case.matrix(seed) for seed in SEEDS]), dtype)
    runs = all_traces(matrices)
    truth = np.sum(case.truth)
    errors = (np.asarray(runs.estimate, np.float64) - truth) / truth
    stated = np.asarray(runs.standard_error, np.float64) / truth
    assert (np.abs(errors) <= 4 * stated).all()
    assert (stated < 0.02).all()
    # Root mean squares over twenty seeds: each is uncertain by a factor of 1.2.
    assert 0.5 < np.sqrt(np.mean(errors**2) / np.mean(stated**2)) < 1.6


def test_g10_every_module_imports_without_a_warning():
    """In a fresh interpreter, with the installed JAX: at every depth, and what stands in front."""
    program = (
        "import importlib, pkgutil\n"
        "for name in ('hessdiag.spectra', 'hessdiag.api'):\n"
        "    package = importlib.import_module(name)\n"
        "    for module in pkgutil.walk_packages(package.__path__, f'{name}.'):\n"
        "        importlib.import_module(module.name)\n"
        "        print(module.name)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    names = done.stdout.split()
    assert done.stderr == ""
    assert {"hessdiag.spectra.krylov", "hessdiag.api.spectrum"} <= set(names)
    folders = Path(api.__file__).parent, Path(spectra.__file__).parent
    assert len(names) >= sum(len([*folder.glob("[!_]*.py")]) for folder in folders)


def test_g12_clustered_top_of_a_network(dtype):
    """Right to its bounds, and flagged as not converged where it has not."""
    problems = [gauntlet.classifier(seed) for seed in SEEDS]
    truths = classifier_truths()
    data = [vars(problem) for problem in problems] * 3  # three starts for each
    asked = (1e-2, 1e-5)
    ritz, _ = answers(classifier_operator, data, 262, dtype, asked, max_matvecs=30)
    for seed, truth in enumerate(truths):
        norm = truth[-1]
        assert truth[-5] > 0.6 * norm
        for i, scale in enumerate(SCALES):
            for j, tol in enumerate(asked):
                starts = list(ritz[seed :: len(SEEDS), i, j])
                assert_honest(starts, scale * truth, dtype, tol)
                ends = extremes(starts)
                misses = [ends.lowest - scale * truth[0], scale * truth[-1] - ends.highest]
                assert max(misses) <= 0.02 * scale * norm
    coarse, fine = ([run.converged for run in ritz[:, :, j].ravel()] for j in (0, 1))
    assert np.mean(coarse) > 0.5
    assert np.mean(fine) < 0.2


def test_a_run_cut_short_is_honest_about_each_value(dtype):
    """Far from convergence the residual bound still holds an eigenvalue, after any step."""
    case = CASES["G5"]
    operator_of, data = of_case(case)
    starts = random_starts(len(data), case.size, dtype)
    runs = all_runs(up_to(13), operator_of, data, starts, (1e-3,))
    assert not any(run.converged for run in runs.ravel())
    for depth in (1, 5, 13):
        ritz = over_all(lambda run, depth=depth: ritz_values(run._replace(active=depth)), runs)
        for i, scale in enumerate(SCALES):
            assert_honest(ritz[:, i, 0], scale * case.truth, dtype, 1e-3)
