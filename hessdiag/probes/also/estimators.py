"""Estimators of the n-step meta-gradient side by side: bias, spread and cost of each.

All are measured at the longest horizon n, on the samples that the probe has anyway, so that they
are paired. What is wanted of each sample is what all of them are made of: see
`statistics.candidates`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag import statistics
from hessdiag.inner import CUTS, FULL, Cut
from hessdiag.meta import (
    Options,
    Outer,
    Sources,
    Start,
    System,
    Unroll,
    Validation,
    outer_losses,
    point,
    sources,
    streams,
    unroll,
    weighted_sweeps,
)
from hessdiag.probes.also.base import OfSamples, Values
from hessdiag.probes.measured import Measured
from hessdiag.statistics import Parts, bias_to, candidates, mixing_weights
from hessdiag.statistics.candidates import CUTS as CANDIDATE_CUTS
from hessdiag.statistics.candidates import DRAWS, REFERENCE

DEVIATIONS = tuple(scale * Options().perturbation for scale in (0.5, 1.0, 2.0))
"""σ of evolution strategies: the default, half of it and double."""

_RESAMPLING = 0  # seed of the bootstrap


class Estimators(OfSamples):
    """Candidates for the n-step meta-gradient, of every sample."""

    what = "the estimators"

    def __init__(self, measured: Measured):
        super().__init__(measured)
        self.candidates = candidates(measured.n, DEVIATIONS)
        self.coords = {"candidate": list(self.candidates)}

    def sample(self, state: Any, key: PRNGKeyArray) -> Parts:
        """What the candidates are made of, of one sample."""
        n, system = self.measured.n, self.measured.system
        start = self.measured.start(state, key)
        points = _unrolled(system, start, sources(key, n, validations=DRAWS[-1]))
        rows, to_mixes = _rows(n)
        single = rows[:1]
        cuts = [CUTS[name] for name in CANDIDATE_CUTS]
        wanted = [(FULL, rows), (Cut(trace=1.0), single), *((cut, single) for cut in cuts)]
        full, traced, *of_cuts = weighted_sweeps(system, start, points, wanted)
        totals, averaged = full.total, len(DRAWS)
        return Parts(
            terms=full.contributions[0],
            direct=full.direct[0],
            initial=full.initial[0],
            traced=traced.contributions[0],
            traced_initial=traced.initial[0],
            mixes=jnp.asarray(to_mixes, totals.dtype) @ totals[:-averaged],
            cuts=jnp.concatenate([swept.total for swept in of_cuts]),
            averaged=totals[-averaged:],
            smoothed=_smoothed(system, start, key, n),
        )

    def variables(self, samples: Parts) -> Values:
        """Mean, standard deviation and bias of each candidate; the bias is that of paired samples.

        Intervals are those of `statistics.measure_spread`, by the same bootstrap.
        """
        parts = Parts(*(np.asarray(part, np.float64) for part in samples))
        made = {name: one.made(parts) for name, one in self.candidates.items()}
        spreads = [self._spread(estimates) for estimates in made.values()]
        biases = [bias_to(made[REFERENCE], one[:, None]) for one in made.values()]
        std, low, high = (
            np.stack([ends[1] for ends in part]) for part in zip(*spreads, strict=True)
        )
        return {
            "candidate_mean": np.stack([spread.value[0] for spread in spreads]),
            "candidate_mean_se": std / np.sqrt(len(parts.terms)),
            "candidate_std": std,
            "candidate_std_low": low,
            "candidate_std_high": high,
            "candidate_bias": np.stack([bias.distance[0] for bias in biases]),
            "candidate_bias_error": np.stack([bias.error[0] for bias in biases]),
            "candidate_rollouts": np.array([one.rollouts for one in self.candidates.values()]),
            **self._share(made[REFERENCE], parts.averaged),
        }

    def _share(self, single: np.ndarray, averaged: np.ndarray) -> Values:
        """Of validation trajectories in the variance, from what averaging more of them does."""
        settings, name = self.measured.settings, "drawn_validation_share"
        share = statistics.share_of_draws(
            np.concatenate([single[:, None], averaged], axis=1),
            (1, *DRAWS),
            confidence=settings.confidence,
            resamples=settings.resamples,
            rng=np.random.default_rng(_RESAMPLING),
        )
        return {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}

    def _spread(self, estimates: np.ndarray) -> statistics.Interval:
        """Of (K, m) estimates: mean and standard deviation, (2, m)."""
        settings = self.measured.settings
        return statistics.bca_interval_of_moments(
            lambda mean, std: np.stack([mean, std], axis=-2),
            estimates,
            confidence=settings.confidence,
            resamples=settings.resamples,
            rng=np.random.default_rng(_RESAMPLING),
        )


def _unrolled(system: System, start: Start, drawn: Sources) -> Unroll:
    """An unroll with the outer loss of the first draw everywhere.

    At θ^(n) three more stand beside it: means over the first `DRAWS` of its validation
    trajectories. Elsewhere these are zero.
    """
    first = drawn._replace(validation=drawn.validation[:, :1])
    points = unroll(system, start, first, objective=Validation())
    end, env_state = point(points.states, -1), point(points.env_states, -1)

    def draw(key: PRNGKeyArray) -> Outer:
        return Validation()(system, end, start.eta, env_state, key, ())

    others = jax.lax.map(draw, drawn.validation[-1, 1:])

    def beside(everywhere: Array, at_end: Array) -> Array:
        every = jnp.concatenate([everywhere[-1], at_end])
        means = jnp.stack([every[:number].mean(axis=0) for number in DRAWS])
        padded = jnp.zeros((*everywhere.shape[:1], *means.shape), means.dtype).at[-1].set(means)
        return jnp.concatenate([everywhere, padded], axis=1)

    return points._replace(outer=jax.tree.map(beside, points.outer, others))


def _rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (r, n, 1 + 3) of all sums under no cut, and what makes mixes of all but the last 3.

    The n-step meta-gradient comes first. Mixes are sums of all shorter ones where these cost less
    than a sum for each κ, as a short one ends early.
    """
    mixes = mixing_weights(n)
    last, by_horizon = np.eye(n)[-1:], n + 1 < 2 * len(mixes)
    others = np.eye(n)[:-1] if by_horizon else mixes
    of_first = np.concatenate([last, others])
    to_mixes = np.roll(mixes, 1, axis=1) if by_horizon else np.eye(len(of_first))[1:]
    averaged = len(DRAWS)
    weights = np.zeros((len(of_first) + averaged, n, 1 + averaged))
    weights[: len(of_first), :, 0] = of_first
    for place in range(averaged):
        weights[len(of_first) + place, -1, 1 + place] = 1.0
    return weights, to_mixes


def _smoothed(system: System, start: Start, key: PRNGKeyArray, n: int) -> Float[Array, "s m"]:
    """One antithetic pair of evolution strategies for each σ, all along the same direction.

    They follow the path through what is sampled, which the n-step meta-gradient leaves out.
    """
    eta = start.eta
    sigmas = jnp.asarray(DEVIATIONS, eta.dtype)
    direction = jax.random.normal(streams.directions(key), eta.shape, eta.dtype)
    losses = jax.lax.map(
        lambda move: outer_losses(system, start, eta + move * direction, key, n=n, at="last")[0],
        jnp.concatenate([sigmas, -sigmas]),
    )
    above, below = losses.reshape(2, -1)
    return jnp.outer((above - below) / (2 * sigmas), direction)
