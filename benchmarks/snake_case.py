"""The default Snake problem at its start, with our convolutions and with stock flax ones."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax

from hessdiag.inner import InnerUpdate, annealing, inner_optimiser
from hessdiag.meta import Estimator, Start, meta_step
from hessdiag.problems import initial_eta
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

    update: InnerUpdate
    start: Start
    key: jax.Array


def make_case(problem: Snake) -> Case:
    """The state before the first iteration of the default run."""
    schedule = annealing("linear", problem.learning.learning_rate, 200)
    update = InnerUpdate(
        problem, inner_optimiser("adam"), schedule, clip_norm=problem.learning.clip_norm
    )
    params, env_state = jax.jit(problem.init)(jax.random.key(0))
    eta = initial_eta(problem.meta_parameters)
    return Case(update, Start(update.init(params), eta, env_state), jax.random.key(1))


def compiled_step(case: Case, estimator: Estimator):
    """A call without arguments that computes one meta-gradient."""
    step = jax.jit(lambda *at: meta_step(estimator, case.update, *at).meta_gradient)
    at = (case.start, case.key)
    return step.lower(*at).compile(), at
