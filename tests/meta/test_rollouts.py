"""Rollouts that an estimator says it draws are those that it draws; several validations."""

from typing import Any

import jax
import numpy as np
import optax
import pytest

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.meta import ESTIMATORS, Options, Start, System, all_horizons_from, sources
from hessdiag.statistics.mixing import mix_weights
from hessdiag.train.presets import resolve

N = 2
CASES = [
    ("mrp", "n-step", {"n": 0}),
    ("mrp", "n-step", {}),
    ("mrp", "n-step", {"samples": 3}),
    ("mrp", "n-step", {"validations": 3}),
    ("mrp", "mix", {"validations": 2}),
    ("mrp", "bootstrapped", {"target_updates": 2}),
    ("mrp", "es", {"samples": 2}),
    ("bandit", "score", {}),
    ("bandit", "score", {"samples": 2}),
    ("bandit", "score-centred", {}),
    ("bandit", "lsf", {}),
]


class Counting:
    """A problem that counts its rollouts that differ: one may be made again, to be scored."""

    def __init__(self, problem):
        self.problem, self.seen = problem, set()
        if hasattr(problem, "validation_rollout"):
            self.validation_rollout = self._counted(problem.validation_rollout)
        self.rollout = self._counted(problem.rollout)

    def __getattr__(self, name):
        return getattr(self.problem, name)

    def _counted(self, sample):
        def counted(*arguments):
            *given, key = arguments
            told = [jax.random.key_data(key), *jax.tree.leaves(given)]
            jax.debug.callback(self._see, told)
            return sample(*arguments)

        return counted

    def _see(self, told):
        self.seen.add(tuple(leaf.tobytes() for leaf in map(np.asarray, told)))


def begun(system):
    params, env_state = system.problem.start(
        system.eta_space.unravel(system.init_eta(jax.random.key(0))), jax.random.key(1)
    )
    return Start(system.update.init(params), system.init_eta(jax.random.key(0)), env_state)


def systems(env):
    settings = resolve({"env": env, "problem.batch_size": 4})
    counting: Any = Counting(problems.make(env, settings.problem))
    return System.of(counting, optax.adam(1e-2), optax.constant_schedule(1e-2)), counting


@pytest.mark.parametrize(("env", "name", "options"), CASES)
def test_an_estimator_draws_the_rollouts_that_it_says(env, name, options):
    system, counting = systems(env)
    estimator = ESTIMATORS[name](Options(**({"n": N} | options)))
    start = begun(system)
    memory = estimator.init(system, start.inner.params)
    step = jax.jit(lambda start, key: estimator(system, start, key, memory).meta_gradient)
    jax.block_until_ready(step(start, jax.random.key(2)))
    jax.effects_barrier()
    assert len(counting.seen) == estimator.rollouts


@pytest.mark.parametrize("name", ["n-step", "mix"])
def test_several_validations_are_averaged(name):
    system, _ = systems("mrp")
    start, key = begun(system), jax.random.key(2)
    averaged = ESTIMATORS[name](Options(n=N, validations=3))(system, start, key, ()).meta_gradient
    each = all_horizons_from(system, start, sources(key, N, validations=3)).mean(axis=1)
    weights = mix_weights(N, None) if name == "mix" else np.eye(N)[-1]
    np.testing.assert_allclose(averaged, weights @ each, rtol=2e-4, atol=1e-8)


@pytest.mark.parametrize(
    ("flags", "iterations"),
    [({"n": 1}, 60), ({"n": 5}, 20), ({"n": 5, "estimator": "mix"}, 12), ({"n": 0}, 120)],
)
def test_as_many_iterations_as_rollouts_allow(flags, iterations):
    settings = resolve({"env": "mrp", "train.rollouts": 120} | flags)
    assert settings.train.iterations == iterations


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"train.rollouts": 5}, r"--rollouts.: 5 .* allowed: 0, or 6 "),
        ({"train.rollouts": 60, "train.iterations": 3}, "--rollouts.: 60 .*without .*--iterations"),
        ({"validations": 2, "estimator": "es"}, "--validations.: 2 .* 1 with --estimator es"),
        ({"validations": 2, "estimator": "bootstrapped"}, "--validations.: 2 .* 1 with"),
    ],
)
def test_what_does_not_go_together_is_refused(flags, says):
    with pytest.raises(UsageError, match=says):
        resolve({"env": "mrp", "n": 5} | flags)
