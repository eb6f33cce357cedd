"""A bandit of two arms whose policy's start is meta-learned: everything can be enumerated."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, Int

from hessdiag.declared import check_fields, setting
from hessdiag.learning import Learning
from hessdiag.problems.base import About


@dataclass(frozen=True)
class Bandit:
    """One inner update by REINFORCE on N pulls, from a policy whose logit is the meta-parameter.

    The smallest problem of meta-RL: θ = η, p = σ(θ) is the probability of the second arm, and the
    outer loss is minus the reward that the updated policy expects, exactly.
    """

    batch_size: int = setting(32, "pulls per inner update, N", "--batch-size", least=1)
    logit: float = setting(-0.5, "the logit of the second arm that training starts from")
    worse: float = setting(0.5, "reward of the first arm")
    better: float = setting(1.0, "reward of the second arm")

    def __post_init__(self):
        """Refuse what the fields do not allow."""
        check_fields(self, "problem.")

    about = About(
        summary="bandit of two arms; the policy that learning starts from is meta-learned",
        headline="reward",
        choices=("Rewards are certain, and the outer loss is exact: only pulls are sampled.",),
        presets={
            "smoke": {"train.iterations": 40, "probe.points": 3, "probe.samples": 16},
            "laptop": {"train.iterations": 500, "probe.samples": 64, "probe.chunk": 64},
        },
    )
    learning = Learning(optimiser="sgd", learning_rate=5.0, meta_learning_rate=0.05, keep="0")

    def init_eta(self, key):
        """The logit of the second arm."""
        del key
        return {"logit": jnp.asarray(self.logit, float)}

    def hyper(self, eta):
        """The same."""
        return eta

    def start(self, eta, key):
        """The policy is what is meta-learned; there is no environment's state."""
        del key
        return {"logit": eta["logit"]}, ()

    def rollout(self, params, hyper, env_state, key):
        """(N,) arms, 1 being the second."""
        del hyper
        probability = jax.nn.sigmoid(params["logit"])
        arms = jax.random.bernoulli(key, probability, (self.batch_size,))
        return env_state, arms.astype(jnp.int32)

    def inner_loss(self, params, hyper, trajectories: Int[Array, " N"]):
        """REINFORCE: the mean of `inner_losses`."""
        return jnp.mean(self.inner_losses(params, hyper, trajectories))

    def inner_losses(self, params, hyper, trajectories: Int[Array, " N"]) -> Float[Array, " N"]:
        """−r(a) log π(a) of every pull."""
        log_prob = self.log_prob(params, hyper, trajectories)
        return -jnp.where(trajectories == 1, self.better, self.worse) * log_prob

    def log_prob(self, params, hyper, trajectories: Int[Array, " N"]) -> Float[Array, " N"]:
        """Log π(a)."""
        del hyper
        return jax.nn.log_sigmoid((2 * trajectories - 1) * params["logit"])

    def outer_loss(self, params, hyper, trajectories):
        """Minus the expected reward of the policy: nothing is sampled."""
        del trajectories
        return self.expected_outer_loss(params, hyper, ())

    def outer_value(self, params, hyper, trajectories):
        """The outer loss, which has no trajectories whose score were missing."""
        return self.outer_loss(params, hyper, trajectories)

    def expected_outer_loss(self, params, hyper, env_state) -> Float[Array, ""]:
        """The same."""
        del hyper, env_state
        probability = jax.nn.sigmoid(params["logit"])
        return -(self.better * probability + self.worse * (1 - probability))

    def outcomes(self, params, hyper, env_state):
        """Likelihoods (N + 1,) and arms (N + 1, N): so many pulls of the second arm, k = 0 … N.

        The order of pulls does not matter to the update, which is a mean over them.
        """
        del hyper, env_state
        n, k = self.batch_size, jnp.arange(self.batch_size + 1)
        log_choices = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
        log_first, log_second = (jax.nn.log_sigmoid(s * params["logit"]) for s in (-1, 1))
        likely = jnp.exp(log_choices + k * log_second + (n - k) * log_first)
        return likely, (jnp.arange(n)[None, :] < k[:, None]).astype(jnp.int32)

    def metrics(self, params, trajectories: Int[Array, " N"]) -> Mapping:
        """The mean reward of the pulls."""
        del params
        return {"reward": jnp.mean(jnp.where(trajectories == 1, self.better, self.worse))}
