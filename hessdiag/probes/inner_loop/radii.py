"""Spectral radii of the non-symmetric operators along an inner loop."""

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from hessdiag import spectra
from hessdiag.inner.products import named_operator, step_at
from hessdiag.inner.step import InnerStep
from hessdiag.meta import streams
from hessdiag.probes.inner_loop.measured import OperatorSpectrum
from hessdiag.probes.inner_loop.settings import InnerLoopSettings, Progress
from hessdiag.spectra.arnoldi import outermost_vector

_SWEEPS = 4  # of balancing; each costs a product and a transposed one


class Radii:
    """Measures spectral radii; a program per operator serves all inner steps."""

    def __init__(self, settings: InnerLoopSettings):
        self._settings = settings
        self._scales = jax.jit(balancing_scales, static_argnames="names")
        self._decompose = jax.jit(self._decomposed, static_argnames="name")

    def measure(
        self, steps: InnerStep, names: tuple[str, ...], key: Key[Array, ""], progress: Progress
    ) -> dict[str, list[OperatorSpectrum]]:
        """Spectra by operator, per inner step; progress is called after each."""
        if not names:
            return {}
        scale_key, key = jax.random.split(key)
        scales = self._scales(steps, scale_key, names=names)
        keys = {name: streams.numbered(key, index) for index, name in enumerate(names)}
        return {
            name: list(self._along(steps, name, scales[name], keys[name], progress))
            for name in names
        }

    def _along(
        self, steps: InnerStep, name: str, scale, key, progress: Progress
    ) -> Iterator[OperatorSpectrum]:
        """One operator at every inner step, each started from where the last one ended.

        A radius that may be no more than one is measured again, from a random start alone.
        """
        n, nothing = len(scale), jnp.zeros_like(scale[0])
        warm = nothing
        for j in range(n):

            def measured(number: int, warm, j=j):
                decomposition, departure, vector = self._decompose(
                    steps, j, scale[j], streams.numbered(key, number), warm, name=name
                )
                departure = jax.device_get(departure)
                ritz = spectra.complex_ritz_values(decomposition, departure=float(departure.upper))
                return ritz, departure, vector

            ritz, departure, warm = measured(j, warm)
            radius = spectra.spectral_radius_minus_one(ritz)
            if ritz.converged and not ritz.complete and radius.minus_one + radius.estimate <= 0:
                other, _, _ = measured(n + j, nothing)
                radius = spectra.spectral_radius_minus_one(ritz, other)
                ritz = dataclasses.replace(ritz, matvecs=ritz.matvecs + other.matvecs)
            yield OperatorSpectrum(ritz, radius, departure)
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
