"""From meta-gradients to the verdict on problems whose mechanism was built in."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.analysis.contest import contest
from hessdiag.inner import FULL, annealing, inner_optimiser, linearised_step
from hessdiag.meta import Start, System, Validation, outer_growth, sources, terms, unroll
from hessdiag.probes.explanations import EXPLANATIONS, Evidence, Radii, predictions
from hessdiag.spectra import dense_matrix
from hessdiag.statistics.growth import std_ratio
from tests.oracles.synthetic import KNOWN, Quadratic

N, K, RUNS, SEEDS = 5, 96, 8, 100
HORIZONS = tuple(range(1, N + 1))


def sampled(problem, optimiser, rate):
    """Of every run, after 1000 inner updates under Adam, what a probe would measure.

    Meta-gradients (runs, K, n), and on other samples T·∂θ^(1)/∂η (runs, K, n), so that E6 does not
    share the noise of what it predicts; the reach of unit gradients (runs, K, n, n); the
    eigenvalues of ∇²L (runs, size); the Jacobian of one update in parameters and memory.
    """
    system = System.of(problem, inner_optimiser(optimiser, rate), annealing("constant", rate, 1))
    update, eta = system.update, system.init_eta(jax.random.key(0))

    def run(key):
        params, env_state = problem.start(eta, key)
        _, seen = system.rollout(params, eta, env_state, jax.random.fold_in(key, 1))
        state = update.init(params)
        if optimiser == "adam":  # a first step would be a sign, which hardly depends on η
            state = jax.lax.fori_loop(0, 1000, lambda _, s: update(s, seen, eta), state)

        start = Start(state, eta, env_state)

        def sample(own_key):
            points = unroll(system, start, sources(own_key, N), objective=Validation())
            parts = terms(system, start, points, horizons=HORIZONS, cuts=(FULL,))
            return parts.meta_gradients[0, :, 0], parts.reach[0] / parts.outer[:, None]

        def other(own_key):
            return outer_growth(system, start, sources(own_key, N))[:, 0]

        step = linearised_step(update, state, seen, eta)
        hessian, jacobian = dense_matrix(step.hessian), dense_matrix(step.augmented)
        keys, others = (jax.random.split(jax.random.fold_in(key, k), K) for k in (2, 3))
        growth, reach = jax.vmap(sample)(keys)
        return growth, jax.vmap(other)(others), reach, jnp.linalg.eigvalsh(hessian), jacobian

    keys = jax.random.split(jax.random.key(0), SEEDS * RUNS)
    return jax.device_get(jax.jit(jax.vmap(run))(keys))


def evidence(optimiser, rate, held, reach, eigenvalues, jacobian):
    """What a probe would know of one run: all of it, so that all explanations compete."""
    radius = np.abs(1 - rate * eigenvalues).max()
    size = len(eigenvalues)
    one_step = jacobian[:size, :size]
    products = [np.linalg.norm(np.linalg.matrix_power(one_step, k), 2) for k in range(N)]
    return Evidence(
        radius_minus_one=np.full((1, N), radius - 1),
        radius_error=np.zeros((1, N)),
        memory=0.9 if optimiser == "adam" else None,
        operator_radii={
            "preconditioned": always(one_step),  # parameters enter an update by the gradient alone
            "update": always(one_step),
            "augmented": always(jacobian),
        },
        product_norms={
            "paper": radius ** np.arange(N)[None],  # symmetric, and always the same
            "preconditioned": np.array([products]),
        },
        reach=reach.mean(axis=0),
        outer_std=held.std(axis=0, ddof=1)[:, None],
    )


def always(matrix):
    """The spectral radius of a matrix, at every inner step."""
    radius = np.abs(np.linalg.eigvals(matrix.astype(np.float64))).max()
    return Radii(np.full((1, N), radius - 1), np.zeros((1, N)))


@functools.cache
def compared(case):
    """The growth of every run, and what the explanations predict."""
    _, optimiser, rate = case
    meta_gradients, *known = sampled(*case)
    growth = np.stack([std_ratio(m.std(axis=0, ddof=1)[:, None])[:, 0] for m in meta_gradients])
    made = [predictions(evidence(optimiser, rate, *of_run)) for of_run in zip(*known, strict=True)]
    assert len(made[0]) == len(EXPLANATIONS) - (0 if optimiser == "adam" else 2)  # E4
    return growth, made


def verdicts(case, *, error=0.0):
    """Of every seed; with an error of the logarithm of the growth, of this size."""
    growth, made = compared(case)
    growth = growth * np.exp(error * np.random.default_rng(0).standard_normal(growth.shape))
    for seed in range(SEEDS):
        runs = slice(seed * RUNS, (seed + 1) * RUNS)
        predicted = {
            label: np.stack([one[label].value for one in made[runs]])[:, 1:] for label in made[0]
        }
        decided = contest(
            growth[runs, 1:],
            predicted,
            list(range(RUNS)),
            confidence=0.95,
            resamples=100,
            rng=np.random.default_rng(seed),
        )
        assert decided is not None
        yield decided


@pytest.mark.parametrize("label", KNOWN)
def test_the_built_in_mechanism_wins_in_at_least_95_of_100_seeds(label):
    won = [label in made.winners for made in verdicts(KNOWN[label])]
    assert sum(won) >= 95


@pytest.mark.parametrize("label", KNOWN)
def test_nothing_is_decided_where_the_data_say_nothing(label):
    """The same problems, their growth known to within a factor of e."""
    undecided = [made.winners == () for made in verdicts(KNOWN[label], error=1.0)]
    assert sum(undecided) >= 95


def test_without_growth_nothing_that_predicts_growth_wins():
    """η enters the first step alone and validation noise does not grow: the growth is one."""
    case = (Quadratic(weight_std=0.5, first_only=True), "sgd", 0.1)
    winners = [made.winners for made in verdicts(case)]
    assert all(set(names) <= {"E6 validation noise"} for names in winners)
