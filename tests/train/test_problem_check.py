"""A user's problem that is another one each time is refused, with the name of what differs."""

import itertools
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.meta import System
from hessdiag.problems import About
from hessdiag.problems.chain import DiscountingChain
from hessdiag.problems.mrp import MarkovRewardProcess
from hessdiag.train import launch
from hessdiag.train.problem_check import require_sound_problem
from hessdiag.train.settings import Settings

MEMBERS = ("start", "rollout", "inner_loss", "outer_loss")


@dataclass(frozen=True)
class Restless(MarkovRewardProcess):
    """Whose `member` counts how often it is traced, or run."""

    member: str = ""
    at_run_time: bool = False
    counter: itertools.count = field(default_factory=itertools.count)

    def _disturbed(self, member, result):
        if member != self.member:
            return result
        if self.at_run_time:
            shape = jax.ShapeDtypeStruct((), jnp.float32)
            factor = jax.pure_callback(lambda: np.float32(next(self.counter)), shape)
        else:
            factor = next(self.counter)
        return jax.tree.map(lambda leaf: leaf * (1.0 + factor), result)

    def start(self, eta, key):
        params, env_state = super().start(eta, key)
        return self._disturbed("start", params), env_state

    def rollout(self, params, hyper, env_state, key):
        env_state, trajectories = super().rollout(params, hyper, env_state, key)
        return env_state, self._disturbed("rollout", trajectories)

    def inner_loss(self, params, hyper, trajectories):
        loss = super().inner_loss(params, hyper, trajectories)
        return self._disturbed("inner_loss", loss)

    def outer_loss(self, params, hyper, trajectories):
        return self._disturbed("outer_loss", super().outer_loss(params, hyper, trajectories))


def system_of(problem):
    return System.of(problem, optax.adam(1e-3), optax.constant_schedule(1e-3))


@pytest.mark.parametrize("at_run_time", [False, True])
@pytest.mark.parametrize("member", MEMBERS)
def test_the_member_that_differs_is_named(member, at_run_time):
    problem = Restless(member=member, at_run_time=at_run_time)
    message = rf"^--env: 'mine:make' is not deterministic: its {member} gave another result"
    with pytest.raises(UsageError, match=message):
        require_sound_problem(system_of(problem), "mine:make")


@pytest.mark.parametrize("name", problems.BUILT_IN)
@pytest.mark.slow
def test_built_in_problems_are_deterministic(name):
    assert require_sound_problem(system_of(problems.make(name, {})), name) is None


def test_a_run_of_it_is_refused_before_it_begins(tmp_path):
    settings = Settings(
        env="tests.train.test_problem_check:Restless", problem={"member": "inner_loss"}
    )
    with pytest.raises(UsageError, match="its inner_loss gave another result"):
        launch.start(settings, tmp_path / "run", command="")
    assert not (tmp_path / "run").exists()


@dataclass(frozen=True)
class Misnamed(MarkovRewardProcess):
    """Asks for a meta-parameter that is not there."""

    def inner_loss(self, params, hyper, trajectories):
        return hyper["gamma"] * super().inner_loss(params, hyper, trajectories)


@dataclass(frozen=True)
class Headless(MarkovRewardProcess):
    """Has not the metric that its headline names."""

    about = About(summary="headless", headline="return")


@dataclass(frozen=True)
class Lost(MarkovRewardProcess):
    """Follows a metric that it has not."""

    about = About(summary="lost", headline="value_error", followed=("advantage",))


@dataclass(frozen=True)
class Inherited(DiscountingChain):
    """Has another inner loss, and the terms of the old one."""

    def inner_loss(self, params, hyper, trajectories):
        return 2 * super().inner_loss(params, hyper, trajectories)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (Misnamed(), "inner_loss of 'mine:make' asks for 'gamma', which is not there"),
        (
            Headless(),
            "metrics of 'mine:make' failed .*'return' is none of its metrics",
        ),
        (Lost(), "the followed 'advantage' is none of its metrics"),
        (Inherited(), "inner_loss_terms of 'mine:make' do not sum to its inner_loss"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(problem, message):
    with pytest.raises(UsageError, match=message) as raised:
        require_sound_problem(system_of(problem), "mine:make")
    assert "\n" not in str(raised.value)
