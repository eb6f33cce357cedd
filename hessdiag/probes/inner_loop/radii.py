"""Spectral radii of the non-symmetric operators along an inner loop."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from hessdiag.inner.products import named_operator, step_at
from hessdiag.inner.step import InnerStep
from hessdiag.meta import streams
from hessdiag.probes.inner_loop.balancing import balancing_scales
from hessdiag.probes.inner_loop.measured import OperatorSpectrum
from hessdiag.probes.inner_loop.settings import InnerLoopSettings
from hessdiag.probes.inner_loop.warm_start import warm_start
from hessdiag.spectra.arnoldi import arnoldi, outermost_vector
from hessdiag.spectra.balancing import balanced
from hessdiag.spectra.complex_ritz import complex_ritz_values, spectral_radius_minus_one
from hessdiag.spectra.normality import departure_from_normality


class Radii:
    """Measures spectral radii; a program per operator serves all inner steps."""

    def __init__(self, settings: InnerLoopSettings):
        self._settings = settings
        self._scales = jax.jit(balancing_scales, static_argnames="names")
        self._decompose = jax.jit(self._decomposed, static_argnames="name")

    def measure(
        self,
        steps: InnerStep,
        names: tuple[str, ...],
        key: Key[Array, ""],
        progress: Callable[[], None],
    ) -> dict[str, list[OperatorSpectrum]]:
        """Spectra by operator, per inner step."""
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
        self,
        steps: InnerStep,
        name: str,
        scale: Float[Array, "n k"],
        key: Key[Array, ""],
        progress: Callable[[], None],
    ) -> Iterator[OperatorSpectrum]:
        """One operator at every inner step, each started from where the last one ended."""
        warm = jnp.zeros_like(scale[0])
        for j in range(len(scale)):
            decomposition, departure, warm = self._decompose(
                steps, j, scale[j], streams.numbered(key, j), warm, name=name
            )
            departure = jax.device_get(departure)
            ritz = complex_ritz_values(decomposition, departure=float(departure.upper))
            yield OperatorSpectrum(ritz, spectral_radius_minus_one(ritz), departure)
            progress()

    def _decomposed(
        self, steps: InnerStep, j: Int[Array, ""], scale, key: Key[Array, ""], warm, *, name: str
    ):
        operator = balanced(named_operator(step_at(steps, j), name), scale).minus_identity
        assert operator is not None
        start_key, probe_key = jax.random.split(key)
        run = arnoldi(
            operator,
            warm_start(start_key, warm),
            max_matvecs=self._settings.max_matvecs,
            tolerance=self._settings.tolerance,
            shift=1.0,
            check_every=1,
            keep_basis=True,
        )
        departure = departure_from_normality(
            operator, probe_key, num_probes=self._settings.departure_probes
        )
        return run._replace(basis=None), departure, outermost_vector(run, shift=1.0)
