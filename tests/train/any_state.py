"""Problems whose environment state holds what people keep there."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from hessdiag.problems.mrp import MarkovRewardProcess

IMPLEMENTATIONS = ("threefry2x32", "rbg", "unsafe_rbg")


@dataclass(frozen=True)
class AnyState(MarkovRewardProcess):
    """Rewards that depend on keys of every kind, counters, Python's numbers and NumPy's."""

    def start(self, eta, key):
        params, _ = super().start(eta, key)
        keys = {impl: jax.random.key(k, impl=impl) for k, impl in enumerate(IMPLEMENTATIONS)}
        return params, {
            "keys": keys,
            "many": jax.random.split(jax.random.key(7, impl="rbg"), 3),
            "raw": jax.random.PRNGKey(5),
            "count": 0,
            "integer that becomes a float": 0,
            "flag": True,
            "python": 1.5,
            "numpy": np.float64(0.1),
            "wide": np.arange(3.0),
            "half": jnp.ones(2, jnp.bfloat16),
            "long": np.int64(3),
            "nothing": None,
            "empty": jnp.zeros((0, 2)),
        }

    def rollout(self, params, hyper, env_state, key):
        _, rewards = super().rollout(params, hyper, (), key)
        state, shift = dict(env_state), 0.0
        state["keys"] = {}
        for impl, own in env_state["keys"].items():
            state["keys"][impl], use = jax.random.split(own)
            shift += jax.random.normal(use)
        state["many"] = jax.vmap(lambda own: jax.random.split(own)[0])(state["many"])
        state["raw"] = jax.random.split(state["raw"])[0]
        state["count"] += 1
        state["integer that becomes a float"] += 0.25
        state["flag"] = ~state["flag"]
        state["python"] *= 1.1
        state["numpy"] = state["numpy"] * 0.9 + 1e-3
        state["wide"] = state["wide"] / 3
        state["half"] = state["half"] * jnp.bfloat16(0.75)
        state["long"] = 5  # gives way to other dtypes
        shift += jax.random.normal(state["many"][0]) + jax.random.normal(state["raw"])
        shift += state["count"] * state["python"] * state["numpy"] + jnp.sum(state["wide"])
        shift += state["flag"] + state["integer that becomes a float"] + state["half"][0]
        return state, rewards * (1 + 0.01 * shift)


@dataclass(frozen=True)
class Changing(MarkovRewardProcess):
    """Whose state changes its kind in a rollout."""

    kind: str = ""

    def start(self, eta, key):
        return super().start(eta, key)[0], {"seen": jnp.zeros(2, jnp.int32)}

    def rollout(self, params, hyper, env_state, key):
        _, rewards = super().rollout(params, hyper, (), key)
        seen = env_state["seen"]
        after = {"dtype": 0.5 * seen, "shape": jnp.append(seen, 0), "structure": (seen,)}
        return {"seen": after[self.kind]}, rewards
