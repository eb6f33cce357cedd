"""The conformance suite, put to thick-restart Lanczos: the eigenpairs of largest magnitude.

The same rule: every value lies within its own error of an eigenvalue and none is listed more often
than it occurs; where all are said to be converged and the run settled by itself, they are the right
ones. Twenty seeds, three scales, both dtypes.
"""

import functools

import numpy as np
import pytest

from hessdiag.spectra.ritz_pairs import RitzPairs, ritz_pairs
from hessdiag.spectra.thick_restart import eigenpairs
from tests.oracles import gauntlet
from tests.oracles.gauntlet import CASES, SCALES, SEEDS, distances, num_ghosts
from tests.oracles.gauntlet_runs import (
    all_runs,
    assert_refuses_asymmetry,
    classifier_operator,
    classifier_truths,
    of_case,
    over_all,
    policy_gradient_operator,
    seed_starts,
)
from tests.oracles.spectra import tolerance

NUM = {"G1": 12, "G2": 13, "G3": 4, "G4": 4, "G4 beyond d": 24, "G5": 4, "G6": 4}
COPIES = ("G4",)  # whose wanted eigenvalues are repeated: such copies are found where asked for
ASKED = 1e-5
ENOUGH, TOO_FEW = 400, 12


@functools.cache
def largest(num, explore=False):
    """Thick-restart Lanczos for so many pairs; the products allowed are an argument."""

    def run(operator, start, max_matvecs):
        return eigenpairs(
            operator,
            start,
            num=num,
            which="magnitude",
            max_matvecs=max_matvecs,
            tolerance=ASKED,
            explore=explore,
        )

    return run


def found(run, operator_of, data, size, dtype):
    """`found[seed][scale]` with enough products, and the same with too few."""
    starts = seed_starts(size, dtype)
    pairs = over_all(ritz_pairs, all_runs(run, operator_of, data, starts, (ENOUGH, TOO_FEW)))
    return pairs[:, :, 0], pairs[:, :, 1]


@functools.cache
def found_in(name, dtype):
    """The pairs of a case of the data module."""
    case = CASES[name]
    return found(largest(NUM[name], name in COPIES), *of_case(case), case.size, dtype)


def assert_honest(pairs: RitzPairs, truth, dtype):
    """Values within their errors, but for what rounding the matrix itself has done to it."""
    norm = np.max(np.abs(truth))
    rounded = 10 * np.finfo(dtype).eps * norm
    known = np.isfinite(pairs.values)
    values, errors = pairs.values[known], pairs.errors[known]
    assert (distances(values, truth) <= errors + rounded).all()
    allowed = tolerance(dtype, norm)
    assert num_ghosts(values[errors <= allowed], truth, allowed) == 0


def assert_largest(pairs: RitzPairs, truth, dtype):
    """All are said to be found, and they are the largest in magnitude, once each."""
    expected = np.sort(truth[np.argsort(np.abs(truth))[-len(pairs.values) :]])
    assert_honest(pairs, truth, dtype)
    assert pairs.converged.all()
    assert pairs.settled
    assert pairs.matvecs <= ENOUGH + len(expected)
    width = ASKED * np.max(np.abs(truth)) + pairs.rounding
    assert (np.abs(pairs.values - expected) <= width).all()


@pytest.mark.parametrize("name", NUM)
def test_pairs_are_the_largest_in_magnitude_once_each(dtype, name):
    enough, _ = found_in(name, dtype)
    for of_seed in enough:
        for pairs, scale in zip(of_seed, SCALES, strict=True):
            assert_largest(pairs, scale * CASES[name].truth, dtype)


@pytest.mark.parametrize("name", ["G2", "G4 beyond d", "G5"])
def test_too_few_products_are_said_to_be_too_few(dtype, name):
    """G11: nothing is claimed that was not reached."""
    _, too_few = found_in(name, dtype)
    for of_seed in too_few:
        for pairs, scale in zip(of_seed, SCALES, strict=True):
            assert_honest(pairs, scale * CASES[name].truth, dtype)
            assert not (pairs.settled and pairs.converged.all())


def test_g1b_tabular_policy_gradient(dtype):
    """All 18 pairs of an exact Hessian of rank 18, though most of its space is gauge."""
    problems = [gauntlet.policy_gradient(seed) for seed in SEEDS]
    data = [vars(problem) for problem in problems]
    enough, too_few = found(largest(18), policy_gradient_operator, data, 200, dtype)
    for seed, problem in enumerate(problems):
        truth = np.linalg.eigvalsh(problem.hessian)
        for i, scale in enumerate(SCALES):
            assert_largest(enough[seed, i], scale * truth, dtype)
            assert_honest(too_few[seed, i], scale * truth, dtype)
            assert not too_few[seed, i].settled


def test_g4_more_products_than_dimensions(dtype):
    """All 24 pairs of 24 dimensions, three of each: after 24 products there is nothing to find."""
    enough, _ = found_in("G4 beyond d", dtype)
    size = CASES["G4 beyond d"].size
    for pairs in enough.ravel():
        assert pairs.matvecs == 2 * size  # a product more for each residual
        gram = pairs.vectors @ pairs.vectors.T
        np.testing.assert_allclose(gram, np.eye(size), atol=tolerance(dtype, 1.0))


@pytest.mark.parametrize("asymmetry", [1.0, 1e-2])
def test_g8_asymmetry_is_measured_and_refused(dtype, asymmetry):
    """The pairs would have been those of (A + A') / 2."""
    starts = seed_starts(200, dtype)
    assert_refuses_asymmetry(largest(4), ritz_pairs, starts, asymmetry, question=20)


def test_g12_clustered_top_of_a_network(dtype):
    """The five pairs at the top, once each; with too few products no claim that they are."""
    data = [vars(gauntlet.classifier(seed)) for seed in SEEDS]
    enough, too_few = found(largest(5), classifier_operator, data, 262, dtype)
    for seed, truth in enumerate(classifier_truths()):
        for i, scale in enumerate(SCALES):
            assert_largest(enough[seed, i], scale * truth, dtype)
            assert_honest(too_few[seed, i], scale * truth, dtype)
            assert not too_few[seed, i].converged.all()
