"""What is sampled at one training state: meta-gradients, and what makes them noisy."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered
from jaxtyping import PRNGKeyArray

from hessdiag import meta
from hessdiag.meta import Terms, sources, streams
from hessdiag.meta.terms import FEW
from hessdiag.probes.chunks import Chunks, Progress, Tell, unheard
from hessdiag.probes.measured import Measured

SENSITIVITIES = 8  # samples of |∂θ^(i)/∂η|, which hardly vary
_WHAT = "the terms of the meta-gradients"


class Sampled(NamedTuple):
    """What one probe sampled; None for what is not wanted."""

    terms: Any  # stacked `Terms`, (K, …)
    outer_growth: np.ndarray | None  # (K, n, m): T^(i)·∂θ^(1)/∂η, of other samples
    nested: tuple[np.ndarray, np.ndarray] | None
    """Meta-gradients (K', 2, n, m) with the same inner trajectories, and (K', n, n, m) with the
    same τ^(j) alone, j along axis 1."""
    sensitivities: np.ndarray | None  # (S, n, m): |∂θ^(i)/∂η|; None where η has many entries


class MechanismProbe:
    """Samples the parts of meta-gradients; one compiled program each for terms and for sources.

    Attributes:
        horizons: where cuts are measured.
        covers_all_horizons: whether the sums of the terms are all meta-gradients of a probe.
    """

    def __init__(self, measured: Measured):
        settings = measured.settings
        every = tuple(range(1, measured.n + 1))
        self.horizons = settings.horizons or every
        self.covers_all_horizons = bool(measured.cuts) and self.horizons == every
        self._samples = settings.samples if measured.cuts else 0
        self._nested = settings.nested
        programs = (partial(_decompose, horizons=self.horizons), _outer_growth, _by_source)
        self._decompose, self._outer_growth, self._by_source = (
            Chunks(
                measured.precisely(partial(program, measured)),
                settings.chunk,
                _WHAT,
                measured.devices,
            )
            for program in programs
        )
        self._sensitivities = jax.jit(measured.precisely(partial(_sensitivities, measured)))
        self._parts = (
            (self._decompose, self._samples),
            (self._outer_growth, self._samples),
            (self._by_source, self._nested),
        )

    @property
    def units(self) -> int:
        """Units of progress in one measurement."""
        return sum(number for _, number in self._parts)

    def lowered(self, state: Any, keys: PRNGKeyArray) -> Iterator[Lowered]:
        """What `sample` will run, but for sensitivities, to be compiled."""
        for part, number in self._parts:
            if number:
                yield part.lowered(state, keys[:number])

    @property
    def programs(self) -> list[tuple[Any, int]]:
        """Compiled functions of a state and of a chunk's keys, and how often a probe calls each."""
        return [(part.program, part.calls(number)) for part, number in self._parts if number]

    def sample(
        self, state: Any, keys: PRNGKeyArray, *, progress: Progress, tell: Tell = unheard
    ) -> Sampled:
        """Terms of samples from a state with the given keys; the rest with the first of them.

        `tell` hears of chunks that are halved.

        Raises:
            NotFiniteError: a term is NaN or infinite.
            ShortageError: not even one sample fits into memory.
        """
        parts = growth = nested = norms = None
        hearing: dict[str, Any] = {"progress": progress, "tell": tell}
        if self._samples:
            parts = self._decompose.sample(state, keys, **hearing)
            growth = self._outer_growth.sample(state, keys, **hearing)
            if growth.shape[-1] <= FEW:
                few = [self._sensitivities(state, key) for key in keys[:SENSITIVITIES]]
                norms = np.stack(jax.device_get(few))
        if self._nested:
            nested = self._by_source.sample(state, keys[: self._nested], **hearing)
        return Sampled(parts, growth, nested, norms)

    def evidence(self, sampled: Sampled) -> dict[str, np.ndarray]:
        """What samples tell the explanations, at all horizons up to n; NaN where not measured."""
        if sampled.terms is None or sampled.outer_growth is None:
            return {}
        n = sampled.terms.mixed.shape[1]
        reach = np.full((n, n), np.nan)
        reach[np.asarray(self.horizons) - 1] = relative_reach(sampled.terms).mean(axis=0)
        return {"reach": reach, "outer_std": sampled.outer_growth.std(axis=0, ddof=1)}


def meta_gradients_of(measured: Measured) -> Chunks:
    """What samples meta-gradients (n, m); one compiled program for all chunks and probes."""

    @measured.precisely
    def sample(state: Any, key: PRNGKeyArray):
        return meta.all_horizons(measured.system, measured.start(state, key), key, n=measured.n)

    return Chunks(sample, measured.settings.chunk, "the meta-gradients", measured.devices)


def relative_reach(parts: Terms) -> np.ndarray:
    """(K, horizons, n) what T reads of a unit of each inner gradient, over |T|."""
    return np.asarray(parts.reach)[:, 0] / np.asarray(parts.outer)[..., None]


def _decompose(
    measured: Measured, state: Any, key: PRNGKeyArray, *, horizons: tuple[int, ...]
) -> Terms:
    """The terms of all cuts and horizons."""
    start = measured.start(state, key)
    points = meta.unroll(
        measured.system, start, sources(key, measured.n), objective=meta.Validation()
    )
    cuts, deflation = tuple(measured.cuts.values()), streams.deflation(key)
    return meta.terms(measured.system, start, points, horizons=horizons, cuts=cuts, key=deflation)


def _outer_growth(measured: Measured, state: Any, key: PRNGKeyArray):
    """Of other samples: not the noise of what E6 predicts."""
    drawn = sources(streams.apart(key, measured.n), measured.n)
    return meta.outer_growth(measured.system, measured.start(state, key), drawn)


def _sensitivities(measured: Measured, state: Any, key: PRNGKeyArray):
    """|∂θ^(i)/∂η_k| of the sample's own unroll."""
    drawn = sources(key, measured.n)
    return meta.sensitivity_norms(measured.system, measured.start(state, key), drawn)


def _by_source(measured: Measured, state: Any, key: PRNGKeyArray):
    """A pair that shares all inner trajectories, and one sample per shared inner step."""
    n, start = measured.n, measured.start(state, key)
    drawn = sources(key, n, validations=2)
    others = sources(streams.nested(key, n), n * n)

    def alone(j):
        fresh = jax.tree.map(lambda keys: jax.lax.dynamic_slice_in_dim(keys, j * n, n), others)
        return meta.all_horizons_from(measured.system, start, meta.share_one(drawn, fresh, j))[:, 0]

    pair = jnp.moveaxis(meta.all_horizons_from(measured.system, start, drawn), 1, 0)
    return pair, jax.lax.map(alone, jnp.arange(n))
