"""A game of two players: the stag hunt, with an opponent who shapes how we learn.

We learn θ, the logit of hunting the stag, by policy gradients. The opponent's logit is η: it is
meta-learned through our updates, as in LOLA. Every unroll starts again from a fresh θ.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from hessdiag.problems import About, Learning

PAYOFFS = jnp.array([[2.0, 2.0], [0.0, 4.0]])  # ours, by our action and theirs; 1 is the stag


@dataclass(frozen=True)
class StagHunt:
    """Both sample their actions; losses are surrogates of the policy gradient."""

    batch_size: int = 64

    about = About(summary="stag hunt; the opponent's policy is meta-learned", headline="payoff")
    learning = Learning(optimiser="sgd", learning_rate=0.5, meta_learning_rate=0.1, keep="0")

    def init_eta(self, key):
        """The opponent's logit."""
        del key
        return {"opponent": jnp.zeros(())}

    def hyper(self, eta):
        """The opponent as rollouts and losses see them."""
        return eta

    def start(self, eta, key):
        """A fresh player; the game has no state."""
        del eta
        return {"logit": jax.random.normal(key)}, ()

    def rollout(self, params, hyper, env_state, key):
        """Actions of both players: sampling needs both."""
        logits = jnp.stack([params["logit"], hyper["opponent"]])
        actions = jax.random.bernoulli(key, jax.nn.sigmoid(logits)[None], (self.batch_size, 2))
        return env_state, actions.astype(jnp.int32)

    def inner_loss(self, params, hyper, trajectories):
        """We descend −E[our payoff]; its gradient depends on η by whom we play against."""
        ours, theirs = trajectories.T
        joint = log_prob(params["logit"], ours) + log_prob(hyper["opponent"], theirs)
        return -jnp.mean(PAYOFFS[ours, theirs] * magic_box(joint))

    def outer_loss(self, params, hyper, trajectories):
        """They descend −E[their payoff], in both policies."""
        ours, theirs = trajectories.T
        joint = log_prob(params["logit"], ours) + log_prob(hyper["opponent"], theirs)
        return -jnp.mean(PAYOFFS[theirs, ours] * magic_box(joint))

    def metrics(self, params, trajectories):
        """What we were paid."""
        del params
        return {"payoff": jnp.mean(PAYOFFS[trajectories[:, 0], trajectories[:, 1]])}


def magic_box(log_prob):
    """One, with the derivatives of the probability over itself (DiCE, Foerster et al. 2018)."""
    return jnp.exp(log_prob - jax.lax.stop_gradient(log_prob))


def log_prob(logit, actions):
    """Of actions of a player, 1 being the stag."""
    return jnp.where(actions == 1, jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit))
