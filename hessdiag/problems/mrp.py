"""The ten-state Markov reward process (Bonnet et al. 2021, sections 3.1 and B.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hessdiag.declared import check_fields, setting
from hessdiag.learning import Learning
from hessdiag.problems.base import About, Hyper, MetaParameter
from hessdiag.problems.scalars import NamedScalars
from hessdiag.rl.networks import ValueMLP


@dataclass(frozen=True)
class MarkovRewardProcess(NamedScalars):
    """States left to right, one visit each; even states pay 0.1, odd ones N(0, 1).

    A value network is learned; the per-state discounts γ_0 … γ_9 are meta-learned. Rewards do not
    depend on the parameters, and every rollout is a batch of whole episodes.
    """

    states: int = setting(10, "number of states", least=1, most=1000)
    batch_size: int = setting(32, "episodes per inner update", "--batch-size", least=1)
    even_reward: float = setting(0.1, "reward of the even states")
    odd_std: float = setting(1.0, "standard deviation of the reward of the odd states", least=0)
    hidden: int = setting(10, "widths of the two hidden layers", least=1)

    def __post_init__(self):
        """Refuse what the fields do not allow."""
        check_fields(self, "problem.")

    about = About(
        summary="ten-state Markov reward process; a discount per state is meta-learned",
        headline="value_error",
        choices=(
            "The network sees the state's index divided by the number of states minus one; hidden "
            "layers have ReLU; losses are means over batch and states.",
            "Discounts are a sigmoid of the unconstrained meta-parameters.",
            "The number of iterations: the paper does not give it.",
        ),
        presets={
            "smoke": {"train.iterations": 100, "probe.points": 3, "probe.samples": 16},
            "laptop": {"train.iterations": 3000, "probe.samples": 64, "probe.chunk": 16},
            "paper": {"train.iterations": 3000, "probe.chunk": 32},
        },
    )
    learning = Learning(optimiser="adam", learning_rate=1e-3, meta_learning_rate=2e-3)

    @property
    def meta_parameters(self) -> Sequence[MetaParameter]:
        """One discount per state, all starting at 0.5."""
        groups = ("even discounts", "odd discounts")
        return tuple(
            MetaParameter(f"gamma_{i}", 0.5, group=groups[i % 2]) for i in range(self.states)
        )

    @cached_property
    def network(self) -> ValueMLP:
        """MLP(1, 10, 10, 1); its parameters take JAX's default float type."""
        return ValueMLP((self.hidden, self.hidden), param_dtype=jnp.zeros(()).dtype)

    @property
    def inputs(self) -> Float[Array, "S 1"]:
        """What the network sees of every state."""
        return jnp.linspace(0.0, 1.0, self.states)[:, None]

    def start(self, eta, key):
        """Fresh parameters; the process has no state between episodes."""
        del eta
        return self.network.init(key, self.inputs), ()

    def rollout(self, params, hyper, env_state, key):
        """Rewards (batch, states) of a batch of episodes."""
        del params, hyper
        odd = np.arange(self.states)[None, :] % 2 == 1
        noise = jax.random.normal(key, (self.batch_size, self.states))
        return env_state, jnp.where(odd, self.odd_std * noise, self.even_reward)

    def inner_loss(self, params, hyper: Hyper, trajectories):
        """½ mean (g_η − v)² with g_η(s_i) = Σ_{j ≥ i} γ_j^{j−i+1} r_j (appendix C.1)."""
        gammas = jnp.stack([hyper[parameter.name] for parameter in self.meta_parameters])
        return self._squared_error(params, trajectories @ self._discounts(gammas).T)

    def outer_loss(self, params, hyper, trajectories):
        """½ mean (g − v)² with the undiscounted return g."""
        del hyper
        return self._squared_error(params, trajectories @ self._discounts(1.0).T)

    def metrics(self, params, trajectories) -> Mapping:
        """Mean squared distance of v from the true value, which is 0.1 per even state to come."""
        del trajectories
        rewards = jnp.where(np.arange(self.states) % 2 == 1, 0.0, self.even_reward)
        truth = jnp.cumsum(rewards[::-1])[::-1]
        return {"value_error": jnp.mean((self.values(params) - truth) ** 2)}

    def values(self, params) -> Float[Array, " S"]:
        """v(s) of every state."""
        return jnp.asarray(self.network.apply(params, self.inputs))

    def _discounts(self, gammas: Float[Array, " S"] | float) -> Float[Array, "S S"]:
        """Entry (i, j) is γ_j^{j−i+1} for j ≥ i, else 0."""
        lag = np.arange(self.states)[None, :] - np.arange(self.states)[:, None] + 1
        powers = jnp.broadcast_to(gammas, (self.states, self.states)) ** np.maximum(lag, 1)
        return jnp.where(lag >= 1, powers, 0.0)

    def _squared_error(self, params, targets: Float[Array, "B S"]) -> Float[Array, ""]:
        return 0.5 * jnp.mean((targets - self.values(params)[None, :]) ** 2)
