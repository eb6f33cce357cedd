"""MAML-RL in a tabular process with a known meta-gradient (Liu et al. 2022)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.errors import UsageError
from hessdiag.learning import Learning
from hessdiag.problems.base import About
from hessdiag.problems.tabular_base import TabularProblem
from hessdiag.rl import every_batch, tabular
from hessdiag.rl.objectives import EXACT, Sampled, objectives


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
            "Linearised scores are those of what inner updates ascend, whatever they are "
            "differentiated as.",
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

    def inner_losses(self, params, hyper, trajectories: Sampled) -> Float[Array, " N"]:
        """Of every trajectory minus what inner updates ascend."""
        del hyper
        mdp, critic = trajectories.mdp, self._critic(trajectories.mdp, trajectories)
        return -objectives(self.surrogate, mdp, params["logits"], trajectories, critic)

    def outcomes(self, params, hyper, env_state) -> tuple[Float[Array, " M"], Sampled]:
        """Likelihoods of all batches, and those: shares of all K trajectories. The critic is held.

        Raises:
            UsageError: there are too many, or the critic has noise.
        """
        del hyper
        if self.critic_noise:
            raise UsageError(
                f"problem.critic_noise: {self.critic_noise} is not allowed where batches are "
                "enumerated; allowed: 0"
            )
        episodes = every_batch.every_trajectory(env_state, self.rollout_length)
        counts = every_batch.every_count(self.batch_size, len(episodes.actions))
        logits = params["logits"]
        likely = every_batch.log_likelihoods(env_state, logits, episodes)
        held = jax.lax.stop_gradient(tabular.policy(logits))
        of_all = Sampled(env_state, episodes, held, jnp.zeros(self.states))
        stacked = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(counts), *jnp.shape(x))), of_all)
        return (
            every_batch.likelihoods(counts, likely),
            stacked._replace(share=jnp.asarray(counts / self.batch_size)),
        )

    def expected_outer_loss(self, params, hyper, env_state) -> Float[Array, ""]:
        """Minus the return that the outer loss estimates, of T steps and a critic that is held."""
        del hyper
        probs = tabular.policy(params["logits"])
        if self.outer == EXACT:
            return -tabular.expected_return(env_state, probs)
        to_come = jax.lax.stop_gradient(tabular.values(env_state, probs))
        steps = self.rollout_length
        ends = None if self.outer == "dice" else to_come
        return -tabular.truncated_return(env_state, probs, steps, ends)
