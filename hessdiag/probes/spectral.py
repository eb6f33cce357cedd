"""Spectra of the inner updates along unrolls, on those unrolls' trajectories."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import jax
import jax.numpy as jnp
from jax.stages import Lowered
from jaxtyping import PRNGKeyArray

from hessdiag.inner import InnerStep, linearised_step
from hessdiag.meta import sources, streams, unroll
from hessdiag.probes.inner_loop import InnerLoop, InnerLoopSettings, InnerLoopSpectra
from hessdiag.probes.inner_loop.settings import Progress
from hessdiag.probes.measured import Measured


class SpectralProbe:
    """Measures spectra; the programs serve every inner step, unroll and probe."""

    def __init__(self, measured: Measured):
        settings = measured.settings
        self._n = measured.n
        self._points = jax.jit(measured.precisely(lambda state, key: _points(measured, state, key)))
        moving = "semi-gradient" in settings.operators
        names = {field.name for field in fields(InnerLoopSettings)} - {"paths", "edges"}
        shared = {name: getattr(settings, name) for name in names}
        paths = settings.products and bool(settings.counterfactuals)
        whole = InnerLoop(
            lambda point: linearised_step(measured.system.update, *point, semi_gradient=moving),
            InnerLoopSettings(**shared, paths=paths, edges=True),
            measured.devices,
        )
        num_whole = min(settings.operator_unrolls, settings.unrolls)
        hessians = whole.of_hessians_alone()
        self._loops = [whole] * num_whole + [hessians] * (settings.unrolls - num_whole)

    @property
    def units(self) -> int:
        """Calls of `progress` in one measurement."""
        return sum(loop.units(self._n) for loop in self._loops)

    def lowered(self, state: Any, key: PRNGKeyArray) -> Iterator[Lowered]:
        """What `measure` will run on states like this, to be compiled."""
        yield from self._loops[0].lowered(self._points(state, key), key)

    def planned(self, state: Any, key: PRNGKeyArray) -> tuple[Any, InnerStep, Lowered]:
        """The same of shapes, running nothing: the points, their linearised steps, a program."""
        points = jax.eval_shape(self._points, state, key)
        return points, *self._loops[0].planned(points, key)

    def measure(
        self, state: Any, keys: PRNGKeyArray, lanczos_key: PRNGKeyArray, *, progress: Progress
    ) -> list[InnerLoopSpectra]:
        """Spectra of every unroll; the first `operator_unrolls` have all operators.

        Args:
            state: the training state.
            keys: of the unrolls, the same as the meta-gradients' of those samples.
            lanczos_key: randomness of start vectors and probes.
            progress: called after each spectrum.
        """
        return [
            loop.measure(
                self._points(state, key), streams.numbered(lanczos_key, k), progress=progress
            )
            for k, (loop, key) in enumerate(zip(self._loops, keys, strict=False))
        ]


def _points(measured: Measured, state: Any, key: PRNGKeyArray):
    """(x^(j), τ^(j), η) of every inner step of a sample's unroll, stacked."""
    start = measured.start(state, key)
    points = unroll(measured.system, start, sources(key, measured.n))
    states = jax.tree.map(lambda leaf: leaf[:-1], points.states)
    etas = jnp.broadcast_to(start.eta, (measured.n, *start.eta.shape))
    return states, points.trajectories, etas
