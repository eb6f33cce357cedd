"""A user's problem that is another one each time is refused, with the name of what differs."""

import itertools
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.inner import InnerUpdate, annealing, inner_optimiser
from hessdiag.problems.mrp import MarkovRewardProcess
from hessdiag.train import launch
from hessdiag.train.determinism import require_deterministic
from hessdiag.train.settings import Settings

MEMBERS = ("init", "rollout", "inner_loss", "outer_loss")


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

    def init(self, key):
        params, env_state = super().init(key)
        return self._disturbed("init", params), env_state

    def rollout(self, params, env_state, key):
        env_state, trajectories = super().rollout(params, env_state, key)
        return env_state, self._disturbed("rollout", trajectories)

    def inner_loss(self, params, hyper, trajectories):
        loss = super().inner_loss(params, hyper, trajectories)
        return self._disturbed("inner_loss", loss)

    def outer_loss(self, params, trajectories):
        return self._disturbed("outer_loss", super().outer_loss(params, trajectories))


def update_of(problem):
    return InnerUpdate(problem, inner_optimiser("adam"), annealing("constant", 1e-3, 10))


@pytest.mark.parametrize("at_run_time", [False, True])
@pytest.mark.parametrize("member", MEMBERS)
def test_the_member_that_differs_is_named(member, at_run_time):
    problem = Restless(member=member, at_run_time=at_run_time)
    message = rf"^--env: 'mine:make' is not deterministic: its {member} gave another result"
    with pytest.raises(UsageError, match=message):
        require_deterministic(update_of(problem), "mine:make")


@pytest.mark.parametrize("name", problems.BUILT_IN)
def test_built_in_problems_are_deterministic(name):
    require_deterministic(update_of(problems.make(name, {})), name)


def test_a_run_of_it_is_refused_before_it_begins(tmp_path):
    settings = Settings(
        env="tests.train.test_determinism:Restless", problem={"member": "inner_loss"}
    )
    with pytest.raises(UsageError, match="its inner_loss gave another result"):
        launch.start(settings, tmp_path / "run", command="")
    assert not (tmp_path / "run").exists()
