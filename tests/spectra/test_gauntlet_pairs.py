"""The conformance suite, put to `eigenpairs`: those of largest magnitude.

The same rule: every value lies within its own error of an eigenvalue and none is listed more often
than it occurs; where all are said to have converged, they are the right ones. Two seeds, three
scales, both dtypes.
"""

import functools

import jax
import numpy as np
import pytest

from hessdiag.spectra import Eigenpairs, NonSymmetricOperatorError, eigenpairs
from tests.oracles import gauntlet
from tests.oracles.gauntlet import CASES, SCALES, distances, num_ghosts
from tests.oracles.gauntlet_runs import (
    classifier_operator,
    classifier_truths,
    policy_gradient_operator,
    seed_starts,
    stacked,
)
from tests.oracles.spectra import tolerance

NUM = {"G1": 12, "G2": 13, "G3": 4, "G4": 4, "G4 beyond d": 23, "G5": 4, "G6": 4}
SEEDS = range(2)
ASKED = 1e-5
ENOUGH, TOO_FEW = 400, 12


def found(product, size, dtype, num):
    """`found[seed][scale]` with enough products, and the same with too few.

    Args:
        product: (seed, v) -> A v.
        size: d.
        dtype: Of the products.
        num: Pairs wanted.
    """
    starts = np.asarray(seed_starts(size, dtype))

    def run(seed, scale, max_matvecs):
        return eigenpairs(
            lambda v: dtype.type(scale) * np.asarray(product(seed, v)),
            starts[seed],
            num=num,
            max_matvecs=max_matvecs,
            tolerance=ASKED,
        )

    return [
        [[run(seed, scale, allowed) for scale in SCALES] for seed in SEEDS]
        for allowed in (ENOUGH, TOO_FEW)
    ]


@functools.cache
def found_in(name, dtype):
    """The pairs of a case of the data module."""
    case = CASES[name]
    if case.is_low_rank:
        factors = [case.factors(seed).astype(dtype) for seed in SEEDS]
        values = case.nonzero.astype(dtype)
        product = lambda seed, v: factors[seed] @ (values * (factors[seed].T @ v))  # noqa: E731
    else:
        matrices = [case.matrix(seed).astype(dtype) for seed in SEEDS]
        product = lambda seed, v: matrices[seed] @ v  # noqa: E731
    return found(product, case.size, dtype, NUM[name])


def compiled(operator_of, problems, dtype):
    """(seed, v) -> the product of the operator of a problem."""
    data = stacked([vars(problem) for problem in problems], dtype)
    product = jax.jit(lambda data, seed, v: operator_of(at(data, seed)).product(v))
    return lambda seed, v: product(data, seed, v)


def at(data, seed):
    return jax.tree.map(lambda leaf: leaf[seed], data)


def assert_honest(pairs: Eigenpairs, truth, dtype):
    """Values within their errors, but for what rounding the matrix itself has done to it."""
    norm = np.max(np.abs(truth))
    rounded = 10 * np.finfo(dtype).eps * norm
    known = np.isfinite(pairs.values)
    values, errors = pairs.values[known], pairs.errors[known]
    assert (distances(values, truth) <= errors + rounded).all()
    allowed = tolerance(dtype, norm)
    assert num_ghosts(values[errors <= allowed], truth, allowed) == 0


def assert_largest(pairs: Eigenpairs, truth, dtype):
    """All are said to be found, and they are the largest in magnitude, once each."""
    expected = np.sort(truth[np.argsort(np.abs(truth))[-len(pairs.values) :]])
    assert_honest(pairs, truth, dtype)
    assert pairs.converged.all()
    assert pairs.matvecs <= ENOUGH + len(expected)
    width = ASKED * np.max(np.abs(truth)) + pairs.rounding
    assert (np.abs(pairs.values - expected) <= width).all()


@pytest.mark.parametrize("name", NUM)
def test_pairs_are_the_largest_in_magnitude_once_each(dtype, name):
    enough, _ = found_in(name, dtype)
    for of_seed in enough:
        for pairs, scale in zip(of_seed, SCALES, strict=True):
            assert_largest(pairs, scale * CASES[name].truth, dtype)


@pytest.mark.parametrize("name", ["G2", "G5"])
def test_too_few_products_are_said_to_be_too_few(dtype, name):
    """G11: nothing is claimed that was not reached."""
    _, too_few = found_in(name, dtype)
    for of_seed in too_few:
        for pairs, scale in zip(of_seed, SCALES, strict=True):
            assert_honest(pairs, scale * CASES[name].truth, dtype)
            assert not pairs.converged.all()


def test_g1b_tabular_policy_gradient(dtype):
    """All 18 pairs of an exact Hessian of rank 18, though most of its space is gauge."""
    problems = [gauntlet.policy_gradient(seed) for seed in SEEDS]
    product = compiled(policy_gradient_operator, problems, dtype)
    enough, too_few = found(product, 200, dtype, 18)
    for seed, problem in enumerate(problems):
        truth = np.linalg.eigvalsh(problem.hessian)
        for i, scale in enumerate(SCALES):
            assert_largest(enough[seed][i], scale * truth, dtype)
            assert_honest(too_few[seed][i], scale * truth, dtype)


@pytest.mark.parametrize("asymmetry", [1.0, 1e-2])
def test_g8_asymmetry_is_measured_and_refused(dtype, asymmetry):
    """The pairs would have been those of (A + A') / 2."""
    matrices = [gauntlet.asymmetric_matrix(seed, asymmetry).astype(dtype) for seed in SEEDS]
    starts = np.asarray(seed_starts(200, dtype))
    for matrix, start in zip(matrices, starts, strict=False):
        with pytest.raises(NonSymmetricOperatorError, match="symmetry defect"):
            eigenpairs(lambda v, a=matrix: a @ v, start, num=4, max_matvecs=20, tolerance=ASKED)


def test_g12_clustered_top_of_a_network(dtype):
    """The five pairs at the top, once each; with too few products no claim that they are."""
    problems = [gauntlet.classifier(seed) for seed in SEEDS]
    product = compiled(classifier_operator, problems, dtype)
    enough, too_few = found(product, 262, dtype, 5)
    for seed in SEEDS:
        truth = classifier_truths()[seed]
        for i, scale in enumerate(SCALES):
            assert_largest(enough[seed][i], scale * truth, dtype)
            assert_honest(too_few[seed][i], scale * truth, dtype)
            assert not too_few[seed][i].converged.all()
