"""What makes the meta-gradient noisy, measured at one training state: terms, cuts, sources."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag.errors import NotFiniteError
from hessdiag.inner import InnerUpdate, Paths
from hessdiag.meta import (
    Terms,
    all_horizons_from,
    outer_growth,
    sensitivity_norms,
    share_one,
    sources,
    terms,
    unroll,
)
from hessdiag.probes.chunks import Chunks
from hessdiag.train.learner import TrainState, paths_of
from hessdiag.train.settings import Settings, measured_horizon

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
    sensitivities: np.ndarray | None  # (S, n, m): |∂θ^(i)/∂η|


class MechanismProbe:
    """Samples the parts of meta-gradients; one compiled program each for terms and for sources.

    Attributes:
        paths: the full meta-gradient and its counterfactuals, by name; none where none is wanted.
        horizons: where they are measured.
        covers_all_horizons: whether the sums of the terms are all meta-gradients of a probe.

    Args:
        update: the inner update.
        settings: of the run.
    """

    def __init__(self, update: InnerUpdate, settings: Settings):
        probe, n = settings.probe, measured_horizon(settings)
        self.paths = _wanted(settings)
        self.horizons = probe.horizons or tuple(range(1, n + 1))
        self.covers_all_horizons = bool(self.paths) and self.horizons == tuple(range(1, n + 1))
        self._samples = probe.samples if self.paths else 0
        self._nested = probe.nested

        def decompose(state: TrainState, key: PRNGKeyArray) -> Terms:
            points = unroll(update, state.start, key, n=n, validate_all=True)
            return terms(
                update,
                state.eta,
                points,
                horizons=self.horizons,
                paths=tuple(self.paths.values()),
                key=jax.random.fold_in(key, 2 * n + 2),
            )

        def by_source(state: TrainState, key: PRNGKeyArray):
            drawn = sources(key, n, validations=2)
            others = sources(jax.random.fold_in(key, 2 * n + 3), n * n)

            def alone(j):
                fresh = jax.tree.map(
                    lambda keys: jax.lax.dynamic_slice_in_dim(keys, j * n, n), others
                )
                return all_horizons_from(update, state.start, share_one(drawn, fresh, j))[:, 0]

            pair = jnp.moveaxis(all_horizons_from(update, state.start, drawn), 1, 0)
            return pair, jax.lax.map(alone, jnp.arange(n))

        def held(state: TrainState, key: PRNGKeyArray):
            own = jax.random.fold_in(key, 2 * n + 4)  # not the noise of what E6 predicts
            return outer_growth(update, state.start, own, n=n)

        def sensitivities(state: TrainState, key: PRNGKeyArray):
            return sensitivity_norms(update, state.start, key, n=n)

        self._sensitivities = jax.jit(sensitivities)
        self._decompose = Chunks(decompose, probe.chunk)
        self._outer_growth = Chunks(held, probe.chunk)
        self._by_source = Chunks(by_source, probe.chunk)

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

    @property
    def coords(self) -> dict[str, Any]:
        """Labels of the dimensions that are the terms' own."""
        if not self.paths:
            return {}
        return {"cut": list(self.paths), "cut_horizon": np.array(self.horizons)}

    def sample(
        self, state: TrainState, keys: PRNGKeyArray, *, progress: Callable[[int], None]
    ) -> Sampled:
        """Terms of the samples with the given keys; the rest with the first of them.

        Args:
            state: the training state; every sample starts from it.
            keys: a key per sample.
            progress: called with the units done.

        Raises:
            NotFiniteError: a term is NaN or infinite.
        """
        made = alone = nested = norms = None
        if self._samples:
            own = keys[: self._samples]
            made = self._decompose.sample(state, own, progress=progress)
            self._refuse_not_finite(made.contributions)
            after = self._samples
            alone = self._outer_growth.sample(state, own, progress=lambda k: progress(after + k))
            self._refuse_not_finite(alone)
            norms = [np.asarray(self._sensitivities(state, key)) for key in own[:SENSITIVITIES]]
        if self._nested:
            own, before = keys[: self._nested], 2 * self._samples
            parts = self._by_source.sample(state, own, progress=lambda k: progress(before + k))
            nested = Nested(*parts)
            self._refuse_not_finite(nested.pairs)
        return Sampled(made, alone, nested, None if norms is None else np.stack(norms))

    def evidence(self, sampled: Sampled) -> dict[str, np.ndarray]:
        """What samples tell the explanations, at all horizons up to n; NaN where not measured."""
        made, alone = sampled.terms, sampled.outer_growth
        if made is None or alone is None:
            return {}
        n = made.mixed.shape[1]
        reach = np.full((n, n), np.nan)
        reach[np.asarray(self.horizons) - 1] = relative_reach(made).mean(axis=0)
        return {"reach": reach, "outer_std": alone.std(axis=0, ddof=1)}

    def _refuse_not_finite(self, values: Any) -> None:
        if not np.isfinite(values).all():
            raise NotFiniteError("NaN or infinity in the terms of the meta-gradients of a probe")


def _wanted(settings: Settings) -> dict[str, Paths]:
    """Paths by name, the full meta-gradient first; none where no cut is wanted."""
    names = settings.probe.counterfactuals
    return {name: paths_of(name, settings) for name in ("full", *names)} if names else {}


def relative_reach(made: Terms) -> np.ndarray:
    """(K, horizons, n) what T reads of a unit of each inner gradient, over |T|."""
    return np.asarray(made.reach)[:, 0] / np.asarray(made.outer)[..., None]
