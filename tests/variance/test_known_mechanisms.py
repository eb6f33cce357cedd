"""From meta-gradients to the verdict on problems whose mechanism was built in."""

import jax
import numpy as np
import pytest

from hessdiag.meta import FULL, InnerUpdate, annealing, initial_eta, inner_optimiser, terms, unroll
from hessdiag.variance import Evidence, contest, predictions
from hessdiag.variance.growth import std_ratio
from tests.oracles.synthetic import Quadratic

N, K, RUNS, SEEDS = 5, 32, 4, 100
HORIZONS = tuple(range(1, N + 1))

CASES = {
    "E1 spectral radius": (Quadratic(curvature=-3.0, slope_std=0.5), "sgd", 0.1),
    "E4 optimiser memory, coherent": (Quadratic(curvature=0.1, slope_std=0.05), "adam", 1e-4),
    "E6 validation noise": (
        Quadratic(weight_std=0.5, weight_growth=0.25, first_only=True),
        "sgd",
        0.1,
    ),
}


def sampled(problem, optimiser, rate):
    """Meta-gradients and T·∂θ^(1)/∂η, each (runs, K, n), after 200 inner updates under Adam."""
    update = InnerUpdate(problem, inner_optimiser(optimiser), annealing("constant", rate, 1))
    eta = initial_eta(problem.meta_parameters)

    def run(key):
        params, env_state = problem.init(key)
        _, seen = problem.rollout(params, env_state, jax.random.fold_in(key, 1))
        state = update.init(params)
        if optimiser == "adam":  # a first step would be a sign, which hardly depends on η
            state = jax.lax.fori_loop(0, 200, lambda _, s: update(s, eta, seen), state)

        def sample(own_key):
            points = unroll(update, state, eta, env_state, own_key, n=N, validate_all=True)
            made = terms(update, eta, points, horizons=HORIZONS, paths=(FULL,), key=own_key)
            return made.contributions[0].sum(axis=1)[:, 0], made.outer_alone[:, 0]

        return jax.vmap(sample)(jax.random.split(jax.random.fold_in(key, 2), K))

    keys = jax.random.split(jax.random.key(0), SEEDS * RUNS)
    return jax.device_get(jax.jit(jax.vmap(run))(keys))


def evidence(problem, optimiser, rate, outer_alone):
    """What a probe would know of one run."""
    return Evidence(
        radius_minus_one=np.full((1, N), np.abs(1 - rate * problem.curvature) - 1),
        radius_error=np.zeros((1, N)),
        optimiser=optimiser,
        memory=0.9 if optimiser == "adam" else None,
        outer_std=outer_alone.std(axis=0, ddof=1)[:, None],
    )


def verdicts(case):
    problem, optimiser, rate = case
    meta_gradients, outer_alone = sampled(*case)
    growth = np.stack([std_ratio(m.std(axis=0, ddof=1)[:, None])[:, 0] for m in meta_gradients])
    made = [predictions(evidence(problem, optimiser, rate, alone)) for alone in outer_alone]
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


@pytest.mark.parametrize("label", CASES)
def test_the_built_in_mechanism_wins_in_at_least_95_of_100_seeds(label):
    won = [label in made.winners for made in verdicts(CASES[label])]
    assert sum(won) >= 95


def test_without_growth_nothing_that_predicts_growth_wins():
    """η enters the first step alone and validation noise does not grow: the growth is one."""
    case = (Quadratic(weight_std=0.5, first_only=True), "sgd", 0.1)
    winners = [made.winners for made in verdicts(case)]
    assert all(set(names) <= {"E6 validation noise"} for names in winners)
