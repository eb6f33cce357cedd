"""Every batch of a tiny process: counted, weighted, and refused where there are too many."""

from collections import Counter
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multinomial

from hessdiag.errors import UsageError
from hessdiag.rl import every_batch, tabular

THETA = np.array([[0.4, -0.2], [1.0, 0.3], [-0.5, 0.1]])


def process(concentration: float) -> tabular.TabularMDP:
    return tabular.random_mdp(jax.random.key(1), 3, 2, concentration, 0.9)


@pytest.mark.parametrize("concentration", [1e-5, 0.5])
@pytest.mark.usefixtures("x64")
def test_trajectories_are_all_there_are(concentration):
    """As many as sequences of actions, or of actions and states; likelihoods sum to one."""
    episodes = every_batch.every_trajectory(process(concentration), 2)
    rows = {tuple(map(int, (*s, *a))) for s, a in zip(*episodes[:2], strict=True)}
    assert len(rows) == len(episodes.actions) == (4 if concentration < 1e-3 else 4 * 9)
    likely = jnp.exp(
        every_batch.log_likelihoods(process(concentration), jnp.asarray(THETA), episodes)
    )
    np.testing.assert_allclose(jnp.sum(likely), 1.0, rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_samples_are_as_likely_as_said():
    mdp, number = process(0.5), 20_000
    episodes = every_batch.every_trajectory(mdp, 2)
    drawn = tabular.sample(mdp, tabular.policy(jnp.asarray(THETA)), jax.random.key(2), number, 2)
    seen = Counter(tuple(map(int, (*s, *a))) for s, a in zip(*drawn[:2], strict=True))
    likely = np.exp(every_batch.log_likelihoods(mdp, jnp.asarray(THETA), episodes))
    for s, a, p in zip(*episodes[:2], likely, strict=True):
        share = seen[tuple(map(int, (*s, *a)))] / number
        assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / number) + 1e-12


@pytest.mark.parametrize(("number", "kinds"), [(3, 4), (5, 2), (4, 1)])
def test_counts_are_all_and_their_likelihoods_multinomial(number, kinds, x64):
    del x64
    counts = every_batch.every_count(number, kinds)
    ways = Counter(
        tuple(draws.count(k) for k in range(kinds))
        for draws in product(range(kinds), repeat=number)
    )
    assert {tuple(row) for row in counts.tolist()} == set(ways)
    assert len(counts) == len(ways)
    likely = np.random.default_rng(0).dirichlet(np.ones(kinds))
    ours = every_batch.likelihoods(counts, jnp.log(likely))
    np.testing.assert_allclose(ours, multinomial.pmf(counts, number, likely), rtol=1e-10)


def test_too_many_are_refused():
    with pytest.raises(UsageError, match=r"problem\.batch_size: there are 2,796,160 batches"):
        every_batch.every_count(254, 4)
    with pytest.raises(UsageError, match="trajectories to enumerate"):
        every_batch.every_trajectory(process(0.5), 8)
