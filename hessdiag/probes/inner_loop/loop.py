"""Spectra of every operator along an inner loop; all programs replay one linearisation of it."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered
from jaxtyping import Array, Key, PyTree

from hessdiag.devices import ONE, Devices
from hessdiag.inner.step import InnerStep
from hessdiag.meta import streams
from hessdiag.probes.inner_loop.edges import Edges
from hessdiag.probes.inner_loop.hessians import Hessians
from hessdiag.probes.inner_loop.measured import InnerLoopSpectra
from hessdiag.probes.inner_loop.norms import NormRuns, Norms, of_one_step
from hessdiag.probes.inner_loop.radii import Radii, RadiusRuns
from hessdiag.probes.inner_loop.rounding import Asked, Rounding, Vectors
from hessdiag.probes.inner_loop.settings import ALL_OPERATORS, InnerLoopSettings, Progress


class InnerLoop:
    """Measures inner loops of one kind; all programs are compiled at first use.

    Args:
        linearise: A point of the inner loop (any pytree of arrays: parameters, optimiser state,
            batch, ...) -> its `InnerStep`; pure and jit-able.
        settings: What is measured.
        devices: Share the start vectors of spectra.
    """

    def __init__(
        self,
        linearise: Callable[[Any], InnerStep],
        settings: InnerLoopSettings,
        devices: Devices = ONE,
    ):
        self._settings = settings
        self._linearise = jax.jit(lambda points: jax.lax.map(linearise, points))
        self._is_alike = jax.jit(
            lambda steps: jnp.all(jax.lax.map(lambda step: step.updates_as_preconditioned, steps))
        )
        self._hessians = Hessians(settings, devices)
        self._edges = Edges(settings, devices)
        self._radii = Radii(settings)
        self._norms = Norms(settings)
        self._rounding = Rounding(self._linearise)

    def of_hessians_alone(self) -> Self:
        """The same programs for Hessians, without other operators and products."""
        alone = copy.copy(self)
        alone._settings = replace(self._settings, operators=(), products=False, paths=False)
        return alone

    def units(self, n: int, *, has_rate: bool = True) -> int:
        """Calls of `progress` that `measure` makes for n inner steps, with a rate or not."""
        others, settings = len(self._others), self._settings
        return n * (1 + others + (has_rate + others) * settings.products + settings.paths)

    @property
    def _others(self) -> tuple[str, ...]:
        """The operators besides the paper's, in their order."""
        return tuple(name for name in ALL_OPERATORS[1:] if name in self._settings.operators)

    def _computed(self, steps: InnerStep) -> tuple[bool, tuple[str, ...]]:
        """Whether the update is the preconditioned operator; and the operators that are measured.

        Of those besides the paper's: the update is not measured again where it is that operator.
        """
        names = self._others
        alike = bool(names) and bool(self._is_alike(steps))
        copied = alike and {"preconditioned", "update"} <= set(names)
        return alike, tuple(name for name in names if not (copied and name == "update"))

    def lowered(self, points: PyTree[Array], key: Key[Array, ""]) -> Iterator[Lowered]:
        """What `measure` will run on points like these, but for paths, to be compiled."""
        steps = self._linearise(points)
        _, names = self._computed(steps)
        yield from self._hessians.lowered(steps, key)
        yield from self._radii.lowered(steps, names, key)
        products = ()
        if self._settings.products:
            products = (*(() if steps.learning_rate is None else ("paper",)), *names)
            yield from self._norms.lowered(steps, products, key)
        if self._settings.edges and (names or products):
            yield from self._edges.lowered(steps, key)
        if names or products:
            yield from self._rounding.lowered(points, steps, names, products, key)

    def planned(self, points: PyTree[Any], key: Key[Array, ""]) -> tuple[InnerStep, Lowered]:
        """What `measure` holds of points of these shapes, and its program for Hessians; runs none.

        Returns:
            The linearised inner steps, as shapes; and the program, to be compiled.
        """
        steps = jax.eval_shape(self._linearise, points)
        return steps, next(self._hessians.lowered(steps, key))

    def measure(
        self, points: PyTree[Array], key: Key[Array, ""], *, progress: Progress = lambda: None
    ) -> InnerLoopSpectra:
        """Measure the inner loop with these n points, stacked.

        Args:
            points: As `linearise` takes them: a tuple, whose first entry is the state.
            key: Randomness of start vectors and probes.
            progress: Called after each spectrum; may raise to abandon the measurement.
        """
        settings, names = self._settings, self._others
        steps, keys = self._linearise(points), streams.along_inner_loop(key)
        hessians, lowest = self._hessians.measure(steps, keys.hessians, progress)
        if not names and not settings.products and not settings.paths:
            return InnerLoopSpectra(hessians, {}, {}, [], np.asarray(steps.loss))
        distance = self._edges.measure(steps, keys.edge) if settings.edges else None
        alike, computed = self._computed(steps)
        copied = computed != names

        def with_copies(results: dict[str, list], names: tuple[str, ...]) -> dict[str, list]:
            """Where the update is the preconditioned operator, it is not measured again."""
            for _ in results["preconditioned"] if copied else ():
                progress()
            return {n: results[n if n in results else "preconditioned"] for n in names}

        scale_key, radius_key = jax.random.split(keys.operators)
        scales = self._radii.scales(steps, scale_key, names=computed)
        scales = {name: scales[name] for name in computed}
        radii = self._radii.measure(steps, scales, radius_key, progress)
        norms, first = {}, ()
        if settings.products:
            paper = of_one_step(hessians[-1], lowest)
            first = () if paper is None else ("paper",)
            update = "preconditioned" if alike and "update" not in computed else "update"
            norms = self._norms.products(
                steps, first + computed, keys.products, paper, update, progress
            )
        paths = self._norms.paths(steps, keys.paths, progress) if settings.paths else []
        asked = Asked(scales, _vectors(radii), _vectors(norms))
        noise = self._rounding.measure(points, steps, asked, keys.rounding)
        operators = {
            name: [run.spectrum(noise.radii[name][j]) for j, run in enumerate(runs)]
            for name, runs in radii.items()
        }
        products = {
            name: [run.norm(noise.products[name][i]) for i, run in enumerate(runs)]
            for name, runs in norms.items()
        }
        if settings.products:
            products = with_copies(products, first + names)
        operators = with_copies(operators, names)
        losses = np.asarray(steps.loss)
        return InnerLoopSpectra(hessians, operators, products, paths, losses, distance)


def _vectors(runs: Mapping[str, Sequence[RadiusRuns] | Sequence[NormRuns]]) -> Vectors:
    return {name: jnp.stack([run.vector for run in along]) for name, along in runs.items()}
