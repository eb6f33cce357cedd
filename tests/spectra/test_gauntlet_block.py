"""The conformance suite, put to block Lanczos: the values, each as often as the starts show it.

The same rule: every value lies within its own error of an eigenvalue, no eigenvalue is listed more
often than it occurs, and starts that say that they converged, and agree, have both ends within the
tolerance asked for. Blocks of two, twenty seeds, three scales, both dtypes.
"""

import functools

import numpy as np
import pytest

from hessdiag.spectra import extremes
from hessdiag.spectra.block_lanczos import block_lanczos
from hessdiag.spectra.block_ritz import block_ritz_values
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
)
from tests.oracles.spectra import tolerance

WIDTH = 2
WIDTHS = {"G4 beyond d": 5}  # two more starts than there are copies
CUT_SHORT = 13  # in the middle of a block


@functools.cache
def up_to(max_matvecs):
    """Block Lanczos of this depth: one function, so that cases of one size share a program."""

    def run(operator, block, tolerance):
        settings = {"max_matvecs": max_matvecs, "tolerance": tolerance, "check_every": 2}
        return block_lanczos(operator, block, **settings)

    return run


def answers(operator_of, data, starts, tolerances, *, max_matvecs):
    """`answers[seed][scale][tolerance]`: Ritz values, and whether each run broke down."""
    runs = all_runs(up_to(max_matvecs), operator_of, data, starts, tolerances)
    return over_all(block_ritz_values, runs), over_all(lambda run: bool(run.broke_down), runs)


@functools.cache
def answers_to(name, dtype, width=None):
    """A case of the data module, asked as it says, and once more where it asks only twice."""
    case = CASES[name]
    starts = seed_starts(case.size, dtype, width=width or WIDTHS.get(name, WIDTH))
    return answers(*of_case(case), starts, asked_of(case), max_matvecs=case.max_matvecs)


def asked_of(case):
    """Three tolerances of each case."""
    return (*case.tolerances, 1e-4)[:3]


@pytest.mark.parametrize("name", CASES)
def test_every_run_is_honest(dtype, name):
    """G1 to G6, and with them G11: no flag says more than is true."""
    case = CASES[name]
    ritz, _ = answers_to(name, dtype)
    for i, scale in enumerate(SCALES):
        for j, asked in enumerate(asked_of(case)):
            assert_honest(ritz[:, i, j], scale * case.truth, dtype, asked)
    assert all(run.matvecs <= min(case.max_matvecs, case.size) for run in ritz.ravel())


@pytest.mark.parametrize("name", ["G1", "G2", "G3", "G4", "G4 beyond d", "G6"])
def test_flags_are_raised_where_the_ends_are_easy(dtype, name):
    """G11: honesty by never saying that a run has converged would be no answer."""
    case = CASES[name]
    ritz, _ = answers_to(name, dtype)
    assert_flags_are_raised(ritz, case)


def test_g1_breaks_down_with_the_exact_spectrum(dtype):
    """Rank 12 and a block of two: fourteen products, and a few where rounding adds rows."""
    case = CASES["G1"]
    ritz, broke_down = answers_to("G1", dtype)
    assert_breaks_down_exactly(ritz, broke_down, case, dtype)


def test_g1b_tabular_policy_gradient(dtype):
    """Rank 18 of 200: both ends within their errors, and an end where the space is invariant."""
    problems = [gauntlet.policy_gradient(seed) for seed in SEEDS]
    data = [vars(problem) for problem in problems]
    starts, asked = seed_starts(200, dtype, width=WIDTH), (0.0, 1e-4)
    ritz, broke_down = answers(policy_gradient_operator, data, starts, asked, max_matvecs=40)
    for seed, problem in enumerate(problems):
        truth = np.linalg.eigvalsh(problem.hessian)
        for i, scale in enumerate(SCALES):
            for j, tol in enumerate(asked):
                run = ritz[seed, i, j]
                assert_honest([run], scale * truth, dtype, tol)
                misses = np.abs(run.values[[0, -1]] - scale * truth[[0, -1]])
                assert (misses <= run.errors[[0, -1]]).all()
    assert broke_down[:, :, 0].all()
    assert all(run.converged and run.matvecs <= 24 for run in ritz[:, :, 1].ravel())


def test_g2_lists_each_outlier_once(dtype):
    """Also by a block, whose second start could have shown each of them twice."""
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
    """Each of the eight as often as there are starts, or as it occurs, and not a number more.

    Five starts show every copy: the run has asked for 40 products, and ends with all 24 values.
    """
    case = CASES[name]
    distinct, copies = np.unique(case.truth, return_counts=True)
    shown = np.repeat(distinct, np.minimum(WIDTHS.get(name, WIDTH), copies))
    ritz, _ = answers_to(name, dtype)
    for i, scale in enumerate(SCALES):
        for run in ritz[:, i, 1]:
            assert run.matvecs == len(shown)
            np.testing.assert_allclose(run.values / scale, shown, atol=tolerance(dtype, 8.0))
        for run in ritz[:, i, 0]:
            assert np.min(run.values) > 3.9 * scale


def test_g4_a_block_of_more_starts_than_dimensions():
    """Thirty starts of 24 numbers: the whole space at once, every eigenvalue with its copies."""
    dtype = np.dtype(np.float32)
    case = CASES["G4 beyond d"]
    ritz, broke_down = answers_to("G4 beyond d", dtype, 30)
    assert broke_down.all()
    for i, scale in enumerate(SCALES):
        for run in ritz[:, i].ravel():
            assert run.converged
            assert run.matvecs == case.size
            np.testing.assert_allclose(run.values / scale, case.truth, atol=tolerance(dtype, 8.0))
        assert_honest(ritz[:, i, 0], scale * case.truth, dtype, 0.0)


def test_g5_the_scale_of_the_operator_does_not_matter(dtype):
    """Same values, same errors, same stop up to one test of convergence, and fewer products."""
    ritz, _ = answers_to("G5", dtype)
    mean = []
    for j, asked in ((1, 1e-2), (2, 1e-4)):
        runs = ritz[:, :, j]
        for of_seed in runs:
            assert np.ptp([run.matvecs for run in of_seed]) <= 2 * WIDTH
            ends = [run.values[[0, -1]] / s for run, s in zip(of_seed, SCALES, strict=True)]
            np.testing.assert_allclose(ends, [ends[1]] * 3, atol=3 * asked)
        mean.append(np.mean([run.matvecs for run in runs.ravel()]))
    assert all(run.converged for run in ritz[:, :, 1].ravel())
    assert mean[0] < mean[1] - 4


def test_g6_the_largest_in_magnitude_is_the_lowest(dtype):
    """Values are in algebraic order, and the far one is found to its last digits."""
    ritz, _ = answers_to("G6", dtype)
    for i, scale in enumerate(SCALES):
        for run in ritz[:, i].ravel():
            assert (np.diff(run.values) >= 0).all()
            assert np.argmax(np.abs(run.values)) == 0
            assert abs(run.values[0] + 100 * scale) <= tolerance(dtype, 100 * scale)


@pytest.mark.parametrize("asymmetry", [1.0, 1e-2])
def test_g8_asymmetry_is_measured_and_refused(dtype, asymmetry):
    """For every pair of rows of the block, not only those that follow each other."""
    starts = seed_starts(200, dtype, width=WIDTH)
    assert_refuses_asymmetry(up_to(CUT_SHORT), block_ritz_values, starts, asymmetry)


def test_g12_clustered_top_of_a_network(dtype):
    """Right to its bounds, and flagged as not converged where it has not."""
    data = [vars(gauntlet.classifier(seed)) for seed in SEEDS]
    starts, asked = seed_starts(262, dtype, width=WIDTH), (1e-2, 1e-5)
    ritz, _ = answers(classifier_operator, data, starts, asked, max_matvecs=40)
    for seed, truth in enumerate(classifier_truths()):
        for i, scale in enumerate(SCALES):
            for j, tol in enumerate(asked):
                run = ritz[seed, i, j]
                assert_honest([run], scale * truth, dtype, tol)
                ends = extremes([run])
                misses = [ends.lowest - scale * truth[0], scale * truth[-1] - ends.highest]
                assert max(misses) <= 0.02 * scale * truth[-1]
    coarse, fine = ([run.converged for run in ritz[:, :, j].ravel()] for j in (0, 1))
    assert np.mean(coarse) > 0.5
    assert np.mean(fine) < 0.2


def test_a_run_cut_short_is_honest_about_each_value(dtype):
    """In the middle of a block: far from convergence each value has its residual bound."""
    case = CASES["G5"]
    starts = seed_starts(200, dtype, width=WIDTH)
    ritz, _ = answers(*of_case(case), starts, (1e-3,), max_matvecs=CUT_SHORT)
    for i, scale in enumerate(SCALES):
        assert_honest(ritz[:, i, 0], scale * case.truth, dtype, 1e-3)
    assert all(run.matvecs == CUT_SHORT and not run.converged for run in ritz.ravel())
