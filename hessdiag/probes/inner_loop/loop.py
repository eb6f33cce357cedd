"""Spectra of every operator along an inner loop; all programs replay one linearisation of it."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered
from jaxtyping import Array, Float, Key, PyTree

from hessdiag.devices import ONE, Devices
from hessdiag.inner.step import InnerStep
from hessdiag.meta import streams
from hessdiag.probes.inner_loop.edges import EdgeRuns, Edges
from hessdiag.probes.inner_loop.hessians import HessianRuns, Hessians
from hessdiag.probes.inner_loop.measured import InnerLoopSpectra
from hessdiag.probes.inner_loop.norms import NormRuns, Norms, PathRun, of_one_step
from hessdiag.probes.inner_loop.radii import Radii, RadiusRuns
from hessdiag.probes.inner_loop.rounding import Asked, Noise, Rounding, Vectors
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
            others = ["hessian", *["edge"] * self._settings.edges, *["path"] * self._settings.paths]
            yield from self._rounding.lowered(points, steps, names, products, others, key)

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
        runs, scales, copied = _Runs(hessians), {}, False
        if names or settings.products or settings.paths:
            alike, computed = self._computed(steps)
            copied = computed != names
            scale_key, radius_key = jax.random.split(keys.operators)
            scales = self._radii.scales(steps, scale_key, names=computed)
            scales = {name: scales[name] for name in computed}
            norms = {}
            edge = self._edges.measure(steps, keys.edge) if settings.edges else None
            radii = self._radii.measure(steps, scales, radius_key, progress)
            if settings.products:
                paper = of_one_step(hessians[-1].spectrum(), lowest)
                first = () if paper is None else ("paper",)
                update = "preconditioned" if alike and "update" not in computed else "update"
                norms = self._norms.products(
                    steps, first + computed, keys.products, paper, update, progress
                )
            paths = self._norms.paths(steps, keys.paths, progress) if settings.paths else []
            runs = _Runs(hessians, radii, norms, paths, edge)
        noise = self._rounding.measure(points, steps, runs.asked(scales), keys.rounding)
        found = runs.spectra(noise, np.asarray(steps.loss))
        return self._with_copies(found, progress) if copied else found

    def _with_copies(self, found: InnerLoopSpectra, progress: Progress) -> InnerLoopSpectra:
        """Where the update is the preconditioned operator, it was not measured again."""

        def copied(results: dict[str, list], names: tuple[str, ...]) -> dict[str, list]:
            for _ in results["preconditioned"]:
                progress()
            return {name: results.get(name, results["preconditioned"]) for name in names}

        operators = copied(found.operators, self._others)
        first = tuple(name for name in found.products if name == "paper")
        products = copied(found.products, first + self._others) if found.products else {}
        return replace(found, operators=operators, products=products)


class _Runs(NamedTuple):
    """What was run along an inner loop, before the rounding of its products is known."""

    hessians: list[HessianRuns]
    radii: Mapping[str, list[RadiusRuns]] = MappingProxyType({})
    norms: Mapping[str, list[NormRuns]] = MappingProxyType({})
    paths: Sequence[PathRun] = ()
    edge: EdgeRuns | None = None

    def asked(self, scales: Vectors) -> Asked:
        """The vectors whose products the answers rest on."""
        edge = [] if self.edge is None else [self.edge]
        others = {"hessian": self.hessians, "path": self.paths, "edge": edge}
        known = {name: runs for name, runs in others.items() if runs}
        return Asked(scales, *map(_vectors, (self.radii, self.norms, known)))

    def spectra(self, noise: Noise, losses: Float[np.ndarray, " n"]) -> InnerLoopSpectra:
        """What the runs say, given how much the products round."""
        off = noise.others
        hessians = [run.spectrum(off["hessian"][j]) for j, run in enumerate(self.hessians)]
        operators = {
            name: [run.spectrum(noise.radii[name][j]) for j, run in enumerate(runs)]
            for name, runs in self.radii.items()
        }
        products = {
            name: [run.norm(noise.products[name][i]) for i, run in enumerate(runs)]
            for name, runs in self.norms.items()
        }
        one_step = of_one_step(hessians[-1], self.hessians[-1].vector)
        if one_step is not None and len(products.get("paper", ())) > 1:
            products["paper"][1] = one_step.norm(0.0)
        paths = [run.norm(off["path"][j]) for j, run in enumerate(self.paths)]
        edge = None if self.edge is None else self.edge.distance(off["edge"][0])
        return InnerLoopSpectra(hessians, operators, products, paths, losses, edge)


def _vectors(runs: Mapping[str, Sequence[Any]]) -> Vectors:
    return {name: jnp.stack([run.vector for run in along]) for name, along in runs.items()}
