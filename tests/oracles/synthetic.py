"""Problems whose mechanism of variance is known, because it was built in."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from hessdiag.problems import About, Learning, MetaParameter


@dataclass(frozen=True)
class Quadratic:
    """L = ½ Σ c θ² + η s·θ with a random slope s, and L' = w·θ with a random weight w.

    A slope is drawn at the first inner step and kept for the others, so that the terms of the
    meta-gradient are coherent. The weight's noise may grow with the number of inner steps.

    Attributes:
        spectrum: c, the eigenvalues of ∇²L.
        slope_std: spread of s about its mean, which is one.
        weight_std: spread of w about its mean, one, after the first inner update.
        weight_growth: what every further inner update adds to that spread.
        first_only: η enters the first inner step alone.
    """

    spectrum: tuple[float, ...] = (0.0,) * 6
    slope_std: float = 0.0
    weight_std: float = 0.0
    weight_growth: float = 0.0
    first_only: bool = False

    about = About(summary="quadratic", headline="norm")
    learning = Learning()

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.spectrum)

    @property
    def meta_parameters(self):
        return (MetaParameter("x", 1.0, "identity"),)

    def init(self, key):
        return jax.random.normal(key, (self.size,)), (jnp.zeros(()), jnp.zeros(self.size))

    def rollout(self, params, env_state, key):
        del params
        steps, kept = env_state
        noise = jax.random.normal(key, (self.size,))
        slope = jnp.where(steps == 0, noise, kept)
        spread = self.weight_std + self.weight_growth * (steps - 1.0)
        seen = {
            "slope": (1.0 + self.slope_std * slope)
            * jnp.where(self.first_only & (steps > 0), 0, 1),
            "weight": 1.0 + spread * noise,
        }
        return (steps + 1.0, slope), seen

    def inner_loss(self, params, hyper, trajectories):
        pull = hyper["x"] * trajectories["slope"] @ params
        return 0.5 * (jnp.asarray(self.spectrum) * params) @ params + pull

    def outer_loss(self, params, trajectories):
        return trajectories["weight"] @ params

    def metrics(self, params, trajectories) -> Mapping:
        del trajectories
        return {"norm": jnp.linalg.norm(params)}
