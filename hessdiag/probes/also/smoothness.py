"""Smoothness: whether the meta-gradient predicts what the outer loss does where η is moved.

The expected outer loss is differenced at η ± h and η ± 2h, all on the same random numbers, and held
against the mean of the same samples' i-step meta-gradients. The question is that of metasmoothness
(Engstrom et al. 2025, arXiv 2503.13751); the formulas and h are ours.

The meta-gradient takes trajectories for constants. So three responses are differenced: with the
trajectories of the unroll at η itself held, with inner trajectories that each η gives rise to, and
with all trajectories of its own.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import stdtrit

from hessdiag.meta import all_horizons, held, responses
from hessdiag.meta.terms import FEW
from hessdiag.probes.also.base import OfSamples, Values
from hessdiag.probes.measured import Measured

STEP = 0.25
"""h, in unconstrained η: a sigmoid then moves the smaller of ζ and 1 − ζ by a quarter, about.

Far enough that float32 does not round the difference away, near enough that the sigmoid itself is
linear to 1 % (sinh h / h): meta-Adam at 1e-3 goes as far in 250 iterations.
"""
RESPONSES = ("held trajectories", "own inner trajectories", "own trajectories")
"""What is differenced: see `hessdiag.meta.responses`."""
RANDOM = 8  # directions in η, where it has more entries than are worth a difference each
_MOVES = (-2.0, -1.0, 1.0, 2.0)  # in units of h


class Differences(NamedTuple):
    """Of one sample, or of all, stacked; R = 3 responses, n horizons, D directions."""

    slope: Float[Array, "*K R n D"]  # (F(h) − F(−h)) / 2h
    wide: Float[Array, "*K R n D"]  # (F(2h) − F(−2h)) / 4h
    curvature: Float[Array, "*K R n D"]  # (F(h) − 2 F(0) + F(−h)) / h²
    gradient: Float[Array, "*K n D"]  # the i-step meta-gradient along the directions


class Smoothness(OfSamples):
    """Differences of every sample's outer losses along the entries of η, or along few directions.

    Args:
        measured: what the probe measures.
        step: h, above zero.
    """

    what = "the differences along η"

    def __init__(self, measured: Measured, *, step: float = STEP):
        space, names = measured.system.eta_space, measured.system.names
        self._step = step
        self._directions, labels = directions(space.size, names)
        self.coords = {"response": list(RESPONSES), "eta_direction": labels}
        super().__init__(measured)

    def sample(self, state: Any, key: PRNGKeyArray) -> Differences:
        """Of one sample; every unroll has its random numbers."""
        measured, h = self.measured, self._step
        system, start, n = measured.system, measured.start(state, key), measured.n
        along = jnp.asarray(self._directions, start.eta.dtype)
        seen = held(system, start, key, n=n)

        def respond(move: Float[Array, " m"]) -> Float[Array, "R n"]:
            return responses(system, start, start.eta + move, key, seen)

        moves = h * jnp.asarray(_MOVES, along.dtype)[:, None, None] * along[None]
        here = respond(jnp.zeros_like(start.eta))[..., None]
        moved = jax.lax.map(respond, moves.reshape(-1, start.eta.size))  # (4 D, R, n)
        moved = moved.reshape(len(_MOVES), len(along), *here.shape[:-1])
        before, below, above, beyond = jnp.moveaxis(moved, 1, -1)
        return Differences(
            slope=(above - below) / (2 * h),
            wide=(beyond - before) / (4 * h),
            curvature=(above - 2 * here + below) / h**2,
            gradient=all_horizons(system, start, key, n=n) @ along.T,
        )

    def variables(self, samples: Differences) -> Values:
        """Means over samples with 95 % half-widths; the difference to the meta-gradient, paired."""
        apart = samples.slope - samples.gradient[:, None]
        parts = {
            "smoothness_slope": samples.slope,
            "smoothness_slope_wide": samples.wide,
            "smoothness_curvature": samples.curvature,
            "smoothness_gradient": samples.gradient,
            "smoothness_difference": apart,
        }
        values = {name: np.mean(part, axis=0) for name, part in parts.items()}
        return values | {f"{name}_error": half_width(part) for name, part in parts.items()}


def directions(size: int, names: tuple[str, ...]) -> tuple[Float[np.ndarray, "D m"], list[str]]:
    """Unit vectors in η with their names: its entries; random ones if it has more than `FEW`.

    Random directions are the same at every probe of every run, so that these can be compared.
    """
    if size <= FEW:
        return np.eye(size), list(names)
    drawn = np.random.default_rng(0).normal(size=(RANDOM, size))
    units = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return units, [f"random {place}" for place in range(1, RANDOM + 1)]


def half_width(samples: Any) -> np.ndarray:
    """Of Student's 95 % interval of the mean over axis 0."""
    number = len(samples)
    return stdtrit(number - 1, 0.975) * samples.std(axis=0, ddof=1) / np.sqrt(number)
