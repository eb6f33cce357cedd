"""Snake's losses written out, with what `stop_gradient` freezes given as plain numbers.

Central differences move the bootstrap values that automatic differentiation holds constant, so
they differentiate another map. Here these values are arguments: the derivative of these
losses, of any order, is what automatic differentiation of the real ones must give.
"""

import jax
import jax.numpy as jnp
import rlax

from hessdiag.meta import point
from tests.oracles.networks import StockBoardActorCritic


class FrozenActorCritic:
    """L and L' of a Snake problem along an unroll, values frozen at the unroll's own θ^(j)."""

    def __init__(self, problem, points):
        self.problem = problem
        self.points = points
        self.network = StockBoardActorCritic(problem.maps, problem.torso, problem.head)

    def inner(self, params, eta, j):
        """L(θ, η, τ^(j)); the transform is the sigmoid."""
        gamma, lam, c_crit, c_entr = (1 / (1 + jnp.exp(-eta[k])) for k in range(4))
        seen = point(self.points.trajectories, j)
        policy, critic, entropy = self.terms(params, seen, j, gamma, lam)
        return policy + c_crit * critic - c_entr * entropy

    def outer(self, params, i):
        """L'(θ, τ̃^(i))."""
        seen = point(self.points.validation, i - 1)
        return self.terms(params, seen, i, 0.99, 0.99)[0]

    def terms(self, params, seen, at, gamma, lam):
        """Policy, critic and entropy terms, a loop over the batch."""
        logits, values = self.apply(params, seen.observation)
        _, frozen = self.apply(point(self.points.states, at).params, seen.observation)
        batch, length = seen.transitions.reward.shape
        policy = critic = entropy = 0.0
        for b in range(batch):
            targets = rlax.lambda_returns(
                seen.transitions.reward[b],
                gamma * seen.transitions.discount[b],
                frozen[b, 1:],
                lam,
                stop_target_gradients=False,
            )
            pi = jax.nn.softmax(logits[b, :-1])
            chosen = jnp.log(pi[jnp.arange(length), seen.transitions.action[b]])
            policy -= jnp.mean((targets - frozen[b, :-1]) * chosen) / batch
            critic += 0.5 * jnp.mean((targets - values[b, :-1]) ** 2) / batch
            entropy -= jnp.mean(jnp.sum(pi * jnp.log(pi), axis=-1)) / batch
        return policy, critic, entropy

    def apply(self, params, boards):
        """Logits (B, T + 1, A) and values (B, T + 1)."""
        flat = boards.reshape(-1, *boards.shape[2:])
        logits, values = map(jnp.asarray, self.network.apply(params, flat))
        return logits.reshape(*boards.shape[:2], -1), values.reshape(boards.shape[:2])
