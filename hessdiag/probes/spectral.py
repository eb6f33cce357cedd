"""Spectra of the inner updates along unrolls, on those unrolls' trajectories."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from hessdiag.inner import linearised_step
from hessdiag.meta import sources, streams, unroll
from hessdiag.probes.inner_loop import InnerLoop, InnerLoopSettings, InnerLoopSpectra
from hessdiag.probes.measured import Measured
from hessdiag.probes.settings import ProbeSettings


class SpectralProbe:
    """Measures spectra; the programs serve every inner step, unroll and probe."""

    def __init__(self, measured: Measured):
        settings = measured.settings
        self._n = measured.n
        self._unrolls = settings.unrolls
        self._operator_unrolls = settings.operator_unrolls
        self._points = jax.jit(lambda state, key: _points(measured, state, key))
        moving = "semi-gradient" in settings.operators
        self._loop = InnerLoop(
            lambda point: linearised_step(measured.system.update, *point, semi_gradient=moving),
            inner_loop_settings(settings),
        )
        self._hessians = self._loop.of_hessians_alone()

    @property
    def units(self) -> int:
        """Calls of `progress` in one measurement."""
        return sum(self._which(k).units(self._n) for k in range(self._unrolls))

    def measure(
        self,
        state: Any,
        keys: PRNGKeyArray,
        lanczos_key: PRNGKeyArray,
        *,
        progress: Callable[[], None],
    ) -> list[InnerLoopSpectra]:
        """Spectra on the unrolls with the given keys.

        Args:
            state: the training state.
            keys: keys of the unrolls, the same as the meta-gradients' of those samples.
            lanczos_key: randomness of start vectors and probes.
            progress: called after each spectrum.

        Returns:
            For every unroll; the first `operator_unrolls` have all operators, the others Hessians.
        """
        return [
            self._which(k).measure(
                self._points(state, key), streams.numbered(lanczos_key, k), progress=progress
            )
            for k, key in enumerate(keys)
        ]

    def _which(self, k: int) -> InnerLoop:
        return self._loop if k < self._operator_unrolls else self._hessians


def inner_loop_settings(settings: ProbeSettings) -> InnerLoopSettings:
    """What a probe measures along each unroll."""
    return InnerLoopSettings(
        operators=settings.operators,
        products=settings.products,
        paths=settings.products and bool(settings.counterfactuals),
        starts=settings.starts,
        min_matvecs=settings.min_matvecs,
        max_matvecs=settings.max_matvecs,
        tolerance=settings.tolerance,
        departure_probes=settings.departure_probes,
    )


def _points(measured: Measured, state: Any, key: PRNGKeyArray):
    """(x^(j), τ^(j), η) of every inner step of a sample's unroll, stacked."""
    start = measured.start(state, key)
    points = unroll(measured.system, start, sources(key, measured.n))
    states = jax.tree.map(lambda leaf: leaf[:-1], points.states)
    etas = jnp.broadcast_to(start.eta, (measured.n, *start.eta.shape))
    return states, points.trajectories, etas
