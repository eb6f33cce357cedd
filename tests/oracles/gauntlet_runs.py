"""The conformance suite, put to the library under test: its operators, and runs on all of them."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import NonSymmetricOperatorError, extremes, hessian, symmetric
from tests.oracles import gauntlet
from tests.oracles.gauntlet import SCALES, SEEDS, Case, distances, num_ghosts
from tests.oracles.spectra import matrix_operator, random_starts, tolerance


def low_rank_operator(data):
    """Orthonormal factors and eigenvalues: products by them keep the rank."""
    factors, eigenvalues = data

    def matvec(v):
        inner = jnp.matmul(factors.T, v, precision="highest")
        return jnp.matmul(factors, eigenvalues * inner, precision="highest")

    return symmetric(matvec, factors[:, 0])


def policy_gradient_operator(data):
    """G1b: the Hessian of the surrogate, by forward over reverse."""

    def loss(logits):
        log_policy = jax.nn.log_softmax(logits)[data["states"], data["actions"]]
        return -jnp.mean(data["advantages"] * log_policy)

    return hessian(loss, data["logits"])


def classifier_operator(data):
    """G12: the Hessian of the network's cross-entropy."""

    def loss(params):
        hidden = jnp.tanh(data["inputs"] @ params["hidden_weight"] + params["hidden_bias"][None])
        logits = hidden @ params["output_weight"] + params["output_bias"][None]
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), data["labels"][:, None], 1)
        return -jnp.mean(chosen)

    return hessian(loss, data["params"])


def of_case(case: Case):
    """The operator of a case, and its data for every seed."""
    if case.is_low_rank:
        return low_rank_operator, [(case.factors(seed), case.nonzero) for seed in SEEDS]
    return matrix_operator, [case.matrix(seed) for seed in SEEDS]


@functools.cache
def classifier_truths() -> list[np.ndarray]:
    """G12: all eigenvalues, for every seed."""
    return [np.linalg.eigvalsh(gauntlet.classifier(seed).hessian) for seed in SEEDS]


def stacked(data, dtype):
    """What there is for each seed, stacked: floating numbers in this dtype."""

    def stack(*leaves):
        stack = np.stack(leaves)
        return jnp.asarray(stack, dtype if stack.dtype == np.float64 else None)

    return jax.tree.map(stack, *data)


@functools.partial(jax.jit, static_argnames=("run", "operator_of"))
def _all_runs(run, operator_of, data, starts, scales, questions):
    def one_seed(arguments):
        data, start = arguments
        operator = operator_of(data)
        return jax.lax.map(
            lambda scale: jax.lax.map(lambda asked: run(scale * operator, start, asked), questions),
            scales,
        )

    return jax.lax.map(one_seed, (data, starts))


def all_runs(run, operator_of, data, starts, questions):
    """Answers of `run(scale * operator_of(data), start, question)`, one after the other.

    Returns:
        Every answer, by seed, scale and question.
    """
    dtype = starts.dtype
    made = jax.device_get(
        _all_runs(
            run,
            operator_of,
            stacked(data, dtype),
            starts,
            jnp.asarray(SCALES, dtype),
            jnp.asarray(questions, dtype if isinstance(questions[0], float) else None),
        )
    )
    shape = len(data), len(SCALES), len(questions)
    each = np.empty(shape, object)
    for at in np.ndindex(shape):
        each[at] = jax.tree.map(lambda leaf, at=at: leaf[at], made)
    return each


def over_all(function, each: np.ndarray) -> np.ndarray:
    """A function of every answer."""
    results = np.empty(each.shape, object)
    results.ravel()[:] = [function(answer) for answer in each.ravel()]
    return results


def assert_honest(runs, truth, dtype, asked):
    """Ritz values of runs on operators of one spectrum say no more than is true.

    What one start converges to is an eigenvalue near the end, by its residual; that it is the last
    one, no residual can prove. Three starts that agree make it the claim that is tested here.
    """
    norm = np.max(np.abs(truth))
    allowed = tolerance(dtype, norm)
    for run in runs:
        missed = distances(run.values, truth)
        assert (missed <= run.errors).all()
        assert truth[0] - run.rounding <= run.values[0]
        assert run.values[-1] <= truth[-1] + run.rounding
        if run.converged:
            assert np.max(missed[[0, -1]]) <= asked * norm + run.rounding
        # Sums of a few hundred terms, over a thousand runs.
        assert run.orthogonality < tolerance(dtype, 1.0, factor=20)
        np.testing.assert_allclose(np.sum(run.weights), 1)
        assert num_ghosts(run.values[run.errors <= allowed], truth, allowed) == 0
    for first in range(len(runs) - 2):
        ends = extremes(runs[first : first + 3])
        if ends.converged and ends.disagreement <= 1:
            width = asked * norm + runs[first].rounding
            assert abs(ends.lowest - truth[0]) <= width
            assert abs(ends.highest - truth[-1]) <= width


def assert_refuses_asymmetry(run, values_of, starts, asymmetry, question=0.0):
    """G8: every seed and scale is refused, with the defect that its own run has measured.

    Args:
        run: Of an operator that is declared symmetric, a start and the question.
        values_of: Values of such a run, on the host.
        starts: One for every seed, of size 200.
        asymmetry: Size of the skew part.
        question: What the run is asked: a tolerance, or a number of products.
    """
    matrices = [gauntlet.asymmetric_matrix(seed, asymmetry) for seed in SEEDS]
    for made in all_runs(run, matrix_operator, matrices, starts, (question,)).ravel():
        message = re.escape(f"symmetry defect {float(made.asymmetry):.1e} exceeds")
        with pytest.raises(NonSymmetricOperatorError, match=message):
            values_of(made)


def seed_starts(size: int, dtype, *, width: int | None = None, repeats: int = 1) -> jax.Array:
    """Starts for every seed, `repeats` times; blocks of `width` of them if there is one."""
    count = repeats * len(SEEDS)
    if width is None:
        return random_starts(count, size, dtype)
    return random_starts(count * width, size, dtype).reshape(count, width, size)


def assert_flags_are_raised(ritz, case):
    """At the second tolerance every run says that it converged, and is right at both ends."""
    for i, scale in enumerate(SCALES):
        for run in ritz[:, i, 1]:
            assert run.converged
            misses = np.abs(run.values[[0, -1]] / scale - case.truth[[0, -1]])
            assert np.max(misses) <= 2 * case.tolerances[1] * np.max(np.abs(case.truth))


def assert_breaks_down_exactly(ritz, broke_down, case, dtype):
    """Asked for everything, every run ends early with all eigenvalues that are not zero."""
    assert broke_down[:, :, 0].all()
    for i, scale in enumerate(SCALES):
        for run in ritz[:, i, 0]:
            assert run.matvecs < 20
            large = run.values[np.abs(run.values) > 0.5 * scale]
            expected = scale * case.nonzero
            np.testing.assert_allclose(large, expected, atol=tolerance(dtype, 50 * scale))
