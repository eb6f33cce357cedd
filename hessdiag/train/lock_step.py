"""Training states of several seeds that advance together, as one program."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from hessdiag.train.learner import Info, Learner, TrainState
from hessdiag.train.seed_run import SeedRun


class LockStep:
    """The states of some runs at one iteration: stacked, or a single one as it is.

    Args:
        learner: of the configuration that the runs share.
        runs: whose states these are; all at the same iteration.
        states: one each.
    """

    def __init__(self, learner: Learner, runs: Sequence[SeedRun], states: Sequence[TrainState]):
        self.runs = list(runs)
        self._learner = learner
        self._alone = len(runs) == 1
        if self._alone:
            self._states, self._keys = states[0], runs[0].keys.train
        else:
            self._states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
            self._keys = jnp.stack([run.keys.train for run in runs])
        self._before = self._states

    def state(self, number: int) -> TrainState:
        """The state of one of the runs."""
        return self._one(self._states, number)

    def before(self, number: int) -> TrainState:
        """Its state before the last iteration."""
        return self._one(self._before, number)

    def advance(self, iteration: int) -> list[Info]:
        """One iteration of every run; what each told, on the host."""
        self._before = self._states
        keys = self._learner.keys_at(self._keys, iteration)
        if self._alone:
            self._states, info = self._learner.step(self._states, keys)
            return [jax.device_get(info)]
        self._states, infos = self._learner.step_together(self._states, keys)
        infos = jax.device_get(infos)
        return [self._one(infos, number) for number in range(len(self.runs))]

    def _one(self, stacked, number: int):
        return stacked if self._alone else jax.tree.map(lambda leaf: leaf[number], stacked)
