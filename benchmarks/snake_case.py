"""The default Snake problem at its start, with our convolutions and with stock flax ones."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax

from hessdiag.inner import annealing, clip_to_norm, inner_optimiser
from hessdiag.meta import ESTIMATORS, Estimator, Options, Start, System
from hessdiag.problems.snake import Snake
from tests.oracles.networks import StockBoardActorCritic


class StockSnake(Snake):
    """Snake whose network is made of `flax.linen.Conv` and `nn.max_pool`."""

    @cached_property
    def network(self) -> Any:  # type: ignore[override]
        """Policy and value network, same parameters."""
        return StockBoardActorCritic()


@dataclass(frozen=True)
class Case:
    """A training state to measure at."""

    system: System
    start: Start
    key: jax.Array


def make_case(problem: Snake) -> Case:
    """The state before the first iteration of the default run."""
    learning = problem.learning
    rate = annealing("linear", learning.learning_rate, 200)
    system = System.of(
        problem, inner_optimiser("adam", rate), rate, clip=clip_to_norm(learning.clip_norm)
    )
    eta = system.init_eta(jax.random.key(0))
    params, env_state = jax.jit(problem.start)(eta, jax.random.key(0))
    return Case(system, Start(system.update.init(params), eta, env_state), jax.random.key(1))


def n_step(n: int, **options) -> Estimator:
    """The n-step estimator."""
    return ESTIMATORS["n-step"](Options(n=n, **options))


def compiled_step(case: Case, estimator: Estimator):
    """A program that computes one meta-gradient, and its arguments."""
    step = jax.jit(lambda start, key: estimator(case.system, start, key, ()).meta_gradient)
    operands = (case.start, case.key)
    return step.lower(*operands).compile(), operands
