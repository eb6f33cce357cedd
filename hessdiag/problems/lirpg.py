"""A table of intrinsic rewards, meta-learned (LIRPG; Zheng et al. 2018, Liu et al. 2022)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from hessdiag.declared import setting
from hessdiag.learning import Learning
from hessdiag.problems.base import About
from hessdiag.problems.tabular_base import TabularProblem
from hessdiag.rl.objectives import OBJECTIVES, Sampled


@dataclass(frozen=True)
class LIRPG(TabularProblem):
    """The learner ascends the return of R + η, the meta-learner that of R."""

    outer: str = setting(
        "exact", "what the outer loss is minus of, without η", choices=lambda: OBJECTIVES
    )
    lam: float = setting(0.9, "λ of the inner advantages", least=0, most=1)
    critic_gradient: bool = setting(
        True, "whether the critic of R + η, which is exact, is differentiated in η"
    )

    about = About(
        summary="intrinsic rewards of a random tabular process are meta-learned",
        headline="value",
        choices=(
            "The process and the critic are those of tabular-maml.",
            "Every unroll starts from the uniform policy, where the published measurements are; "
            "learning.keep 1 trains one policy on. The meta-learning rate is ours.",
            "The published measurements ascend and validate exact returns, and sample the "
            "derivative alone: problem.surrogate exact, problem.hessian ad or lvc.",
            "The learning curve is the value before the inner updates: under learning.keep 0 it "
            "stays where it is, and the outer loss is what falls.",
        ),
        presets={
            "smoke": {"n": 3, "probe.samples": 32, "probe.chunk": 16},
            "laptop": {"n": 3, "probe.samples": 64, "probe.chunk": 16},
        },
    )
    learning = Learning(optimiser="sgd", learning_rate=10.0, meta_learning_rate=0.1, keep="0")

    def init_eta(self, key):
        """No intrinsic rewards."""
        del key
        return {"reward": jnp.zeros((self.states, self.actions))}

    def start(self, eta, key):
        """The uniform policy."""
        del eta, key
        return {"logits": self._logits()}, self.mdp

    def inner_loss(self, params, hyper, trajectories: Sampled):
        """Minus the inner objective, with rewards R + η."""
        mdp = trajectories.mdp
        mdp = mdp._replace(rewards=mdp.rewards + hyper["reward"])
        critic = self._critic(mdp, trajectories)
        if not self.critic_gradient:
            critic = jax.lax.stop_gradient(critic)
        return self._inner_loss(params, mdp, trajectories, critic, self.lam)
