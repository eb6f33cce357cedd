"""Spectral radii of the non-symmetric operators along an inner loop."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered
from jaxtyping import Array, Float, Int, Key

from hessdiag import spectra
from hessdiag.inner.products import named_operator, step_at
from hessdiag.inner.step import InnerStep
from hessdiag.meta import streams
from hessdiag.probes.inner_loop.measured import OperatorSpectrum
from hessdiag.probes.inner_loop.settings import InnerLoopSettings, Progress
from hessdiag.spectra.arnoldi import ArnoldiDecomposition, outermost_vector
from hessdiag.spectra.normality import Departure

_SWEEPS = 4  # of balancing; each costs a product and a transposed one


class RadiusRuns(NamedTuple):
    """Runs on one operator at one inner step, in balanced coordinates."""

    starts: tuple[ArnoldiDecomposition, ...]  # a second one where the first may say "no"
    departure: Departure
    vector: Float[Array, " k"]  # the first one's outermost, real and of unit length

    def spectrum(self, noise: float) -> OperatorSpectrum:
        """What they say, where products of the vector were seen to be off by the noise."""
        upper = float(self.departure.upper)
        found = [
            spectra.complex_ritz_values(run, departure=upper, noise=noise) for run in self.starts
        ]
        radius = spectra.spectral_radius_minus_one(*found)
        by_start = [spectra.spectral_radius_minus_one(ritz).minus_one for ritz in found]
        spent = sum(ritz.matvecs for ritz in found)
        ritz = replace(found[int(np.argmax(by_start))], matvecs=spent)
        return OperatorSpectrum(ritz, radius, self.departure)


class Radii:
    """Measures spectral radii; a program per operator serves all inner steps."""

    def __init__(self, settings: InnerLoopSettings):
        self._settings = settings
        self.scales = jax.jit(balancing_scales, static_argnames="names")
        self._decompose = jax.jit(self._decomposed, static_argnames="name")

    def measure(
        self,
        steps: InnerStep,
        scales: dict[str, Float[Array, "n k"]],
        key: Key[Array, ""],
        progress: Progress,
    ) -> dict[str, list[RadiusRuns]]:
        """Runs by operator, per inner step; progress is called after each."""
        keys = {name: streams.numbered(key, index) for index, name in enumerate(scales)}
        return {
            name: list(self._along(steps, name, scale, keys[name], progress))
            for name, scale in scales.items()
        }

    def lowered(
        self, steps: InnerStep, names: tuple[str, ...], key: Key[Array, ""]
    ) -> Iterator[Lowered]:
        """What `measure` will run, to be compiled."""
        if names:
            yield (scales := self.scales.lower(steps, key, names=names))
            for name, of_steps in scales.out_info.items():
                scale = jax.ShapeDtypeStruct(of_steps.shape[1:], of_steps.dtype)
                yield self._decompose.lower(steps, 0, scale, key, scale, name=name)

    def _along(
        self, steps: InnerStep, name: str, scale, key, progress: Progress
    ) -> Iterator[RadiusRuns]:
        """One operator at every inner step, each started from where the last one ended."""
        nothing = jnp.zeros_like(scale[0])
        warm = nothing
        for j in range(len(scale)):
            at = (steps, j, scale[j])
            own_key = streams.numbered(key, j)
            run, departure, warm = self._decompose(*at, own_key, warm, name=name)
            runs = RadiusRuns((jax.device_get(run),), jax.device_get(departure), warm)
            if _does_not_exceed_one(runs):
                again = self._decompose(*at, streams.numbered(own_key, 1), nothing, name=name)[0]
                runs = runs._replace(starts=(*runs.starts, jax.device_get(again)))
            yield runs
            progress()

    def _decomposed(self, steps: InnerStep, j: Int[Array, ""], scale, key, warm, *, name: str):
        operator = spectra.balanced(named_operator(step_at(steps, j), name), scale).minus_identity
        assert operator is not None
        start_key, probe_key = jax.random.split(key)
        start = warm_start(start_key, warm)
        run = spectra.arnoldi(operator, start, shift=1.0, **self._settings.krylov)
        departure = spectra.departure_from_normality(
            operator, probe_key, num_probes=self._settings.departure_probes
        )
        return run._replace(basis=None), departure, outermost_vector(run, shift=1.0)


def _does_not_exceed_one(runs: RadiusRuns) -> bool:
    """Whether nothing but an independent start is missing for a "no"."""
    first = spectra.complex_ritz_values(runs.starts[0], departure=float(runs.departure.upper))
    radius = spectra.spectral_radius_minus_one(first, first)
    return not first.complete and "no" in (radius.exceeds_one, radius.exceeds_one_to_first_order)


def warm_start(key: Key[Array, ""], warm: Float[Array, " d"]) -> Float[Array, " d"]:
    """A random direction, which finds what a similar run had nothing of, plus what that one found.

    The latter is a unit vector, or zero; a run that failed leaves none: it is not finite.
    """
    random = jax.random.normal(key, warm.shape, warm.dtype)
    there = jnp.all(jnp.isfinite(warm))
    return random / jnp.linalg.norm(random) + jnp.where(there, warm, 0)


def balancing_scales(
    steps: InnerStep, key: Key[Array, ""], *, names: tuple[str, ...]
) -> dict[str, Float[Array, "n k"]]:
    """For each named operator, a diagonal per stacked step that makes it nearly balanced.

    The augmented operator is balanced by products, the others have the closed form.
    """
    responses = jax.lax.map(lambda step: step.response_scale, steps)
    scales = {name: responses for name in names if name != "augmented"}
    if "semi-gradient" in names:
        scales["semi-gradient"] = jnp.ones_like(responses)
    if "augmented" in names:
        keys = jax.random.split(key, len(steps.gradient))
        scales["augmented"] = jax.lax.map(_augmented_scale, (steps, keys))
    return scales


def _augmented_scale(step_and_key: tuple[InnerStep, Key[Array, ""]]) -> Float[Array, " k"]:
    step, key = step_and_key
    memory = jnp.ones(step.memory.size, step.memory.dtype)
    known = jnp.concatenate([step.response_scale, memory])
    scale = spectra.balancing_scale(spectra.balanced(step.augmented, known), key, sweeps=_SWEEPS)
    return known * scale
