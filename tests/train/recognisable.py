"""A problem whose meta-gradients show which trajectories they were made of."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from hessdiag.problems import About, Learning, MetaParameter, NamedScalars


@dataclass(frozen=True)
class Recognisable(NamedScalars):
    """L = s (η_0 θ_0 + η_1 θ_1) and L' = θ_0 + s θ_1, where s is a rollout's one random number.

    Under gradient descent with rate α the i-step meta-gradient is −α Σ_{j<i} s_j (1, s'_i), with
    s_j of τ^(j) and s'_i of τ̃^(i): every random number can be read off.
    """

    about = About(summary="recognisable", headline="norm")
    learning = Learning()

    @property
    def meta_parameters(self):
        return tuple(MetaParameter(f"eta_{k}", 1.0, "identity") for k in range(2))

    def start(self, eta, key):
        del eta
        return jax.random.normal(key, (2,)), ()

    def rollout(self, params, hyper, env_state, key):
        del params, hyper
        return env_state, jax.random.normal(key)

    def inner_loss(self, params, hyper, trajectories):
        return trajectories * (hyper["eta_0"] * params[0] + hyper["eta_1"] * params[1])

    def outer_loss(self, params, hyper, trajectories):
        del hyper
        return params[0] + trajectories * params[1]

    def metrics(self, params, trajectories):
        del trajectories
        return {"norm": jnp.linalg.norm(params)}


def inner_numbers(meta_gradients, rate: float):
    """(…, n) s_0 … s_{n−1} from (…, n, 2) meta-gradients of horizons 1 … n."""
    sums = -meta_gradients[..., 0] / rate
    return jnp.diff(sums, axis=-1, prepend=0.0)


def validation_numbers(meta_gradients):
    """(…, n) s'_1 … s'_n."""
    return meta_gradients[..., 1] / meta_gradients[..., 0]
