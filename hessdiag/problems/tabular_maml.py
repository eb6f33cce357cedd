"""MAML-RL in a tabular process with a known meta-gradient (Liu et al. 2022)."""

from dataclasses import dataclass

from hessdiag.learning import Learning
from hessdiag.problems.base import About
from hessdiag.problems.tabular_base import TabularProblem
from hessdiag.rl.objectives import Sampled


@dataclass(frozen=True)
class TabularMAML(TabularProblem):
    """η are the logits that every unroll starts from."""

    about = About(
        summary="MAML-RL in a random tabular process; the initial logits are meta-learned",
        headline="value",
        choices=(
            "The process is drawn from problem.mdp_seed; rewards are deterministic.",
            "The critic is the exact value of the sampled policy and noise of 1/20 of its norm, "
            "a constant; the exact return is that without an end, samples are cut after T steps.",
            "The published measurements are at the uniform policy, where training starts; the "
            "meta-learning rate is ours.",
            "The learning curve is the value before the inner updates; the outer loss follows "
            "them.",
        ),
        presets={
            "smoke": {"n": 3, "probe.samples": 32, "probe.chunk": 16},
            "laptop": {"n": 3, "probe.samples": 64, "probe.chunk": 16},
        },
    )
    learning = Learning(optimiser="sgd", learning_rate=10.0, meta_learning_rate=0.1, keep="0")

    def init_eta(self, key):
        """The uniform policy."""
        del key
        return {"logits": self._logits()}

    def start(self, eta, key):
        """θ^(0) = η; the environments' state is the process."""
        del key
        return eta, self.mdp

    def inner_loss(self, params, hyper, trajectories: Sampled):
        """Minus the inner objective."""
        del hyper
        critic = self._critic(trajectories.mdp, trajectories)
        return self._inner_loss(params, trajectories.mdp, trajectories, critic)
