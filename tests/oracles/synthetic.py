"""Problems whose mechanism of variance is known, because it was built in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from hessdiag.problems import About, Learning, MetaParameter, NamedScalars


@dataclass(frozen=True)
class Quadratic(NamedScalars):
    """L = ½ Σ c θ² + η s·θ with a random slope s, and L' = w·θ with a random weight w.

    A slope is drawn at the first inner step and kept for the others, so that the terms of the
    meta-gradient are coherent. The weight's noise may grow with the number of inner steps.

    Attributes:
        spectrum: c, the eigenvalues of ∇²L.
        slope_std: spread of s about its mean, which is one.
        weight_std: spread of w about its mean, one, after the first inner update.
        weight_growth: what every further inner update adds to that spread.
        first_only: η enters the first inner step alone.
        period: inner steps after which everything begins again, so that training goes on; zero for
            never.
    """

    spectrum: tuple[float, ...] = (0.0,) * 6
    slope_std: float = 0.0
    weight_std: float = 0.0
    weight_growth: float = 0.0
    first_only: bool = False
    period: int = 0

    about = About(summary="quadratic", headline="norm")
    learning = Learning()

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.spectrum)

    @property
    def meta_parameters(self):
        return (MetaParameter("x", 1.0, "identity"),)

    def start(self, eta, key):
        del eta
        return jax.random.normal(key, (self.size,)), (jnp.zeros(()), jnp.zeros(self.size))

    def rollout(self, params, hyper, env_state, key):
        del params, hyper
        steps, kept = env_state
        if self.period:
            steps = steps % self.period
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

    def outer_loss(self, params, hyper, trajectories):
        del hyper
        return trajectories["weight"] @ params

    def metrics(self, params, trajectories) -> Mapping:
        del trajectories
        return {"norm": jnp.linalg.norm(params)}


OUTSIDE = (-3.02, -3.015, -3.01, -3.005, -3.0, -2.995)  # H = −α ∇²L has eigenvalues above zero
INSIDE = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)

KNOWN: Mapping[str, tuple[Quadratic, str, float]] = {
    "E1 spectral radius": (Quadratic(spectrum=OUTSIDE, slope_std=0.5), "sgd", 0.1),
    "E4 optimiser memory, coherent": (Quadratic(spectrum=INSIDE, slope_std=0.02), "adam", 1e-4),
    "E6 validation noise": (
        Quadratic(weight_std=0.5, weight_growth=1.0, first_only=True),
        "sgd",
        0.1,
    ),
}
"""By the explanation that is true: the problem, the inner optimiser, and its learning rate."""

PERIOD = 6  # of the problems below, one more than the steps of an unroll and its validation take


def in_training(label: str) -> Quadratic:
    """The known problem that begins again after each PERIOD of inner steps."""
    return replace(KNOWN[label][0], period=PERIOD)


def radius_above_one() -> Quadratic:
    """E1 is true."""
    return in_training("E1 spectral radius")


def adams_memory() -> Quadratic:
    """E4 is true."""
    return in_training("E4 optimiser memory, coherent")


def noisy_validation() -> Quadratic:
    """E6 is true."""
    return in_training("E6 validation noise")
