"""Weighted sums from one pass back, against dense matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.inner import CUTS, FULL, Cut
from hessdiag.meta import weighted_sweeps
from hessdiag.statistics import mix_weights
from tests.meta.conftest import N
from tests.oracles.eq11_terms import DenseUnroll

SHORT = (1, 3)  # horizons of single meta-gradients
CUT = {"no-memory": CUTS["no-memory"], "trace": Cut(trace=1.0), "faded": Cut(trace=0.7)}


@pytest.fixture(scope="module")
def dense(adam_mrp):
    return DenseUnroll(adam_mrp)


@pytest.fixture(scope="module")
def swept(adam_mrp):
    """Single meta-gradients, a mix, and a mean over draws of which the second is three times one.

    The other cuts are of the n-step meta-gradient alone.
    """
    case = adam_mrp
    rows = np.zeros((4, N, 2))
    for place, horizon in enumerate(SHORT):
        rows[place, horizon - 1, 0] = 1.0
    rows[2, :, 0] = mix_weights(N, 0.7)
    rows[3, -1] = 0.25

    def both(leaf):
        return jnp.concatenate([leaf, 3.0 * leaf], axis=1)

    points = case.points._replace(outer=jax.tree.map(both, case.points.outer))
    wanted = [(FULL, rows), *((cut, rows[1:2]) for cut in CUT.values())]
    return jax.jit(lambda points: weighted_sweeps(case.system, case.start, points, wanted))(points)


def assert_near(actual, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-9 * scale)


def test_terms_are_those_of_dense_matrices(dense, swept):
    for place, horizon in enumerate(SHORT):
        terms = swept[0].contributions[place]
        assert_near(terms[:horizon], dense.terms(horizon, FULL))
        assert not terms[horizon:].any()
    for made, cut in zip(swept[1:], CUT.values(), strict=True):
        assert_near(made.contributions[0], dense.terms(N, cut))


def test_totals_are_weighted_sums(dense, swept):
    single = np.stack([dense.terms(i, FULL).sum(axis=0) for i in range(1, N + 1)])
    assert_near(swept[0].total[2], mix_weights(N, 0.7) @ single)
    assert_near(swept[0].total[3], single[-1])  # a quarter of one and of three times one


def test_every_trace_is_the_undamped_one_rescaled(swept):
    """By μ for every update after the term's own."""
    whole, faded = (
        swept[1 + list(CUT).index(name)].contributions[0] for name in ("trace", "faded")
    )
    assert_near(faded, 0.7 ** np.arange(N - 1.0, -1.0, -1.0)[:, None] * whole)
