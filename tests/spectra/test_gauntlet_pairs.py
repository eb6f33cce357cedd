"""The conformance suite, put to thick-restart Lanczos: the eigenpairs of largest magnitude.

The same rule: every value lies within its own error of an eigenvalue and none is listed more often
than it occurs; where all are said to be converged and the run settled by itself, they are the right
ones. Twenty seeds, three scales, both dtypes.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra.ritz_pairs import RitzPairs, ritz_pairs
from hessdiag.spectra.thick_restart import eigenpairs
from tests.oracles.gauntlet import CASES, SCALES, SEEDS, distances, num_ghosts
from tests.oracles.spectra import matrix_operator, random_starts, tolerance
from tests.spectra.test_gauntlet import low_rank_operator

NUM = {"G1": 12, "G2": 13, "G3": 4, "G4": 4, "G5": 4, "G6": 4}
COPIES = ("G4",)  # whose wanted eigenvalues are repeated: such copies are found where asked for
ASKED = 1e-5
ENOUGH, TOO_FEW = 400, 12


@functools.partial(jax.jit, static_argnames=("operator_of", "num", "explore"))
def all_pairs(operator_of, data, starts, scales, max_matvecs, *, num, explore):
    def one_seed(arguments):
        data, start = arguments
        operator = operator_of(data)
        return jax.lax.map(
            lambda scale: eigenpairs(
                scale * operator,
                start,
                num=num,
                which="magnitude",
                max_matvecs=max_matvecs,
                tolerance=ASKED,
                explore=explore,
            ),
            scales,
        )

    return jax.lax.map(one_seed, (data, starts))


def found(name, dtype, max_matvecs) -> list[list[RitzPairs]]:
    """By seed and scale; `max_matvecs` is traced, so that one program answers both questions."""
    case = CASES[name]
    if case.is_low_rank:
        operator_of = low_rank_operator
        factors = np.stack([case.factors(seed) for seed in SEEDS])
        data = factors, np.tile(case.nonzero, (len(SEEDS), 1))
    else:
        operator_of, data = matrix_operator, np.stack([case.matrix(seed) for seed in SEEDS])
    made = jax.device_get(
        all_pairs(
            operator_of,
            jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), data),
            random_starts(len(SEEDS), case.size, dtype),
            jnp.asarray(SCALES, dtype),
            jnp.int32(max_matvecs),
            num=NUM[name],
            explore=name in COPIES,
        )
    )
    return [
        [
            ritz_pairs(jax.tree.map(lambda leaf, s=s, i=i: leaf[s, i], made))
            for i in range(len(SCALES))
        ]
        for s in range(len(SEEDS))
    ]


def assert_honest(pairs: RitzPairs, truth, dtype):
    """Values within their errors, but for what rounding the matrix itself has done to it."""
    norm = np.max(np.abs(truth))
    rounded = 10 * np.finfo(dtype).eps * norm
    known = np.isfinite(pairs.values)
    values, errors = pairs.values[known], pairs.errors[known]
    assert (distances(values, truth) <= errors + rounded).all()
    allowed = tolerance(dtype, norm)
    assert num_ghosts(values[errors <= allowed], truth, allowed) == 0


@pytest.mark.parametrize("name", NUM)
def test_pairs_are_the_largest_in_magnitude_once_each(dtype, name):
    truth = CASES[name].truth
    largest = np.sort(truth[np.argsort(np.abs(truth))[-NUM[name] :]])
    for of_seed in found(name, dtype, ENOUGH):
        for pairs, scale in zip(of_seed, SCALES, strict=True):
            assert_honest(pairs, scale * truth, dtype)
            assert pairs.converged.all()
            assert pairs.settled
            assert pairs.matvecs <= ENOUGH + NUM[name]
            misses = np.abs(pairs.values - scale * largest)
            width = ASKED * scale * np.max(np.abs(truth)) + pairs.rounding
            assert (misses <= width).all()


@pytest.mark.parametrize("name", ["G2", "G5"])
def test_too_few_products_are_said_to_be_too_few(dtype, name):
    """G11: nothing is claimed that was not reached."""
    truth = CASES[name].truth
    for of_seed in found(name, dtype, TOO_FEW):
        for pairs, scale in zip(of_seed, SCALES, strict=True):
            assert_honest(pairs, scale * truth, dtype)
            assert not (pairs.settled and pairs.converged.all())
