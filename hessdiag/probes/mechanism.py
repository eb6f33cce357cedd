"""What makes the meta-gradient noisy, measured at one training state: terms, cuts, sources."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag.meta import (
    Terms,
    Validation,
    all_horizons_from,
    outer_growth,
    sensitivity_norms,
    share_one,
    sources,
    streams,
    terms,
    unroll,
)
from hessdiag.meta.terms import FEW
from hessdiag.probes.chunks import Chunks, require_finite
from hessdiag.probes.measured import Measured

SENSITIVITIES = 8  # samples of |∂θ^(i)/∂η|, which hardly vary


class Nested(NamedTuple):
    """Meta-gradients that share some of their randomness."""

    pairs: np.ndarray  # (K', 2, n, m): same inner trajectories
    sharing_one: np.ndarray  # (K', n, n, m): same τ^(j) alone, j along axis 1


class Sampled(NamedTuple):
    """What one probe sampled; None for what is not wanted."""

    terms: Terms | None
    outer_growth: np.ndarray | None  # (K, n, m): T^(i)·∂θ^(1)/∂η, of other samples
    nested: Nested | None
    sensitivities: np.ndarray | None  # (S, n, m): |∂θ^(i)/∂η|; None where η has many entries


class MechanismProbe:
    """Samples the parts of meta-gradients; one compiled program each for terms and for sources.

    Attributes:
        horizons: where cuts are measured.
        covers_all_horizons: whether the sums of the terms are all meta-gradients of a probe.

    Args:
        measured: what is probed.
    """

    def __init__(self, measured: Measured):
        settings, n = measured.settings, measured.n
        every = tuple(range(1, n + 1))
        self.horizons = settings.horizons or every
        self.covers_all_horizons = bool(measured.cuts) and self.horizons == every
        self._samples = settings.samples if measured.cuts else 0
        self._nested = settings.nested
        programs = _Programs(measured, self.horizons)
        self._decompose = Chunks(programs.decompose, settings.chunk)
        self._outer_growth = Chunks(programs.outer_growth, settings.chunk)
        self._by_source = Chunks(programs.by_source, settings.chunk)
        self._sensitivities = jax.jit(programs.sensitivities)

    @property
    def units(self) -> int:
        """Units of progress in one measurement."""
        return 2 * self._samples + self._nested

    @property
    def programs(self) -> list[tuple[Any, int]]:
        """Compiled functions of a state and of a chunk's keys, and how often a probe calls each."""
        wanted = (
            (self._decompose, self._samples),
            (self._outer_growth, self._samples),
            (self._by_source, self._nested),
        )
        return [(chunks.program, chunks.calls(number)) for chunks, number in wanted if number]

    def sample(self, state: Any, keys: PRNGKeyArray, *, progress: Callable[[int], None]) -> Sampled:
        """Terms of the samples with the given keys; the rest with the first of them.

        Args:
            state: the training state; every sample starts from it.
            keys: a key per sample.
            progress: called with the units done.

        Raises:
            NotFiniteError: a term is NaN or infinite.
        """
        parts = growth = nested = norms = None
        if self._samples:
            chosen, done = keys[: self._samples], self._samples
            parts = self._decompose.sample(state, chosen, progress=progress)
            require_finite(parts.contributions, _WHAT)
            growth = self._outer_growth.sample(state, chosen, progress=lambda k: progress(done + k))
            require_finite(growth, _WHAT)
            if growth.shape[-1] <= FEW:
                norms = np.stack(
                    [np.asarray(self._sensitivities(state, k)) for k in chosen[:SENSITIVITIES]]
                )
        if self._nested:
            before = 2 * self._samples
            pairs = self._by_source.sample(
                state, keys[: self._nested], progress=lambda k: progress(before + k)
            )
            nested = Nested(*pairs)
            require_finite(nested.pairs, _WHAT)
        return Sampled(parts, growth, nested, norms)

    def evidence(self, sampled: Sampled) -> dict[str, np.ndarray]:
        """What samples tell the explanations, at all horizons up to n; NaN where not measured."""
        if sampled.terms is None or sampled.outer_growth is None:
            return {}
        n = sampled.terms.mixed.shape[1]
        reach = np.full((n, n), np.nan)
        reach[np.asarray(self.horizons) - 1] = relative_reach(sampled.terms).mean(axis=0)
        return {"reach": reach, "outer_std": sampled.outer_growth.std(axis=0, ddof=1)}


_WHAT = "the terms of the meta-gradients"


class _Programs:
    """What is compiled, each from a training state and a sample's key."""

    def __init__(self, measured: Measured, horizons: tuple[int, ...]):
        self._measured = measured
        self._horizons = horizons

    def decompose(self, state: Any, key: PRNGKeyArray) -> Terms:
        """The terms of all cuts and horizons."""
        measured = self._measured
        start = measured.start(state, key)
        points = unroll(measured.system, start, sources(key, measured.n), objective=Validation())
        return terms(
            measured.system,
            start,
            points,
            horizons=self._horizons,
            cuts=tuple(measured.cuts.values()),
            key=streams.deflation(key),
        )

    def outer_growth(self, state: Any, key: PRNGKeyArray):
        """Of other samples: not the noise of what E6 predicts."""
        measured = self._measured
        drawn = sources(streams.apart(key, measured.n), measured.n)
        return outer_growth(measured.system, measured.start(state, key), drawn)

    def sensitivities(self, state: Any, key: PRNGKeyArray):
        """|∂θ^(i)/∂η_k| of the sample's own unroll."""
        measured = self._measured
        drawn = sources(key, measured.n)
        return sensitivity_norms(measured.system, measured.start(state, key), drawn)

    def by_source(self, state: Any, key: PRNGKeyArray):
        """A pair that shares all inner trajectories, and one sample per shared inner step."""
        measured, n = self._measured, self._measured.n
        start = measured.start(state, key)
        drawn = sources(key, n, validations=2)
        others = sources(streams.nested(key, n), n * n)

        def alone(j):
            fresh = jax.tree.map(lambda keys: jax.lax.dynamic_slice_in_dim(keys, j * n, n), others)
            return all_horizons_from(measured.system, start, share_one(drawn, fresh, j))[:, 0]

        pair = jnp.moveaxis(all_horizons_from(measured.system, start, drawn), 1, 0)
        return pair, jax.lax.map(alone, jnp.arange(n))


def relative_reach(parts: Terms) -> np.ndarray:
    """(K, horizons, n) what T reads of a unit of each inner gradient, over |T|."""
    return np.asarray(parts.reach)[:, 0] / np.asarray(parts.outer)[..., None]
