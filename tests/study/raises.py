"""A user's own problem with a mistake in it: one of its functions raises while it is traced."""

import builtins
from dataclasses import dataclass

from hessdiag.problems.mrp import MarkovRewardProcess


@dataclass(frozen=True)
class Raises(MarkovRewardProcess):
    """Raises an exception of the given name, in the given function."""

    error: str = ""
    inside: str = "rollout"

    def start(self, eta, key):
        self._fail("start")
        return super().start(eta, key)

    def rollout(self, params, hyper, env_state, key):
        self._fail("rollout")
        return super().rollout(params, hyper, env_state, key)

    def metrics(self, params, trajectories):
        self._fail("metrics")
        return super().metrics(params, trajectories)

    def _fail(self, function: str) -> None:
        if self.error and self.inside == function:
            raise getattr(builtins, self.error)("no\nluck")
