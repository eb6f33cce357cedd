"""A probe: spectra and variance at one training state, as one labelled dataset."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import xarray
from jax.stages import Lowered

from hessdiag.meta import streams
from hessdiag.probes.also import AlsoMeasured
from hessdiag.probes.chunks import Tell, unheard
from hessdiag.probes.explanations import explanations_at
from hessdiag.probes.inner_loop import InnerLoopSpectra, inner_loop_variables, operator_names
from hessdiag.probes.measured import Measured
from hessdiag.probes.mechanism import MechanismProbe, meta_gradients_of
from hessdiag.probes.spectral import SpectralProbe
from hessdiag.probes.variables import mechanism_variables, prediction_variables, spread_variables
from hessdiag.record.schema import described


class Probe:
    """Probes one object along training; the training state is read, never changed."""

    def __init__(self, measured: Measured):
        self._measured = measured
        self._spectra = SpectralProbe(measured)
        self._meta_gradients = meta_gradients_of(measured)
        self._mechanism = MechanismProbe(measured)
        self._also = AlsoMeasured(measured)
        self._explanations = explanations_at(measured.settings.explanations)

    @property
    def steps(self) -> int:
        """Units of progress in one probe."""
        samples = 0 if self._mechanism.covers_all_horizons else self._measured.settings.samples
        return samples + self._spectra.units + self._mechanism.units + self._also.units

    def lowered(self, state: Any, keys: streams.RunKeys) -> Iterator[Lowered]:
        """The programs of probes at states like this, in the order of their use, to be compiled."""
        if self._measured.n == 0:
            return
        samples = streams.samples(keys.probe, 0, self._measured.settings.samples)
        if not self._mechanism.covers_all_horizons:
            yield self._meta_gradients.lowered(state, samples)
        yield from self._spectra.lowered(state, samples[0])
        yield from self._mechanism.lowered(state, samples)
        yield from self._also.lowered(state, samples, streams.beside(keys.lanczos, 0))

    def __call__(
        self,
        state: Any,
        iteration: int,
        *,
        keys: streams.RunKeys,
        progress: Callable[[int], None],
        tell: Tell = unheard,
    ) -> xarray.Dataset:
        """Measure at the state before an iteration.

        Sample k draws the same randomness whatever n, so that horizons share it; spectra are
        measured on the unrolls of the first samples. `keys` are those of the run; `progress` is
        called with the units done, and may raise to abandon the probe. `tell` hears of chunks that
        are halved, since memory ran out.

        Raises:
            NotFiniteError: a meta-gradient is NaN or infinite.
            ShortageError: not even one sample fits into memory.
        """
        measured, settings = self._measured, self._measured.settings
        attributes = self._attributes(iteration)
        if measured.n == 0:
            names = list(measured.system.names)
            return xarray.Dataset(coords={"meta_parameter": names}, attrs=attributes)
        done = 0

        def advance(units: int = 1) -> None:
            nonlocal done
            done += units
            progress(done)

        samples = streams.samples(keys.probe, iteration, settings.samples)
        start_vectors = streams.start_vectors(keys.lanczos, iteration)
        unrolls = samples[: settings.unrolls]
        summed = self._mechanism.covers_all_horizons  # sums of terms are what would be sampled
        drawn = (
            nullcontext() if summed else self._meta_gradients.meanwhile(state, samples, tell=tell)
        )
        with drawn as wait:
            spectra = self._spectra.measure(state, unrolls, start_vectors, progress=advance)
            sampled = self._mechanism.sample(state, samples, progress=advance, tell=tell)
            meta_gradients = wait(advance) if wait else sampled.terms.meta_gradients[:, 0]
        beside = streams.beside(keys.lanczos, iteration)
        also = self._also.measure(state, samples, beside, progress=advance, tell=tell)
        seed = [keys.seed, iteration]
        labels, predicted = prediction_variables(
            measured, spectra, self._mechanism.evidence(sampled), self._explanations
        )
        variables = (
            spread_variables(measured, meta_gradients, seed=seed)
            | predicted
            | inner_loop_variables(spectra)
            | mechanism_variables(
                sampled, spectra, self._mechanism.horizons, measured, seed=[*seed, 1]
            )
            | also
        )
        return described(variables, coords=self._coords(labels, spectra), attrs=attributes)

    def _attributes(self, iteration: int) -> dict[str, Any]:
        settings = self._measured.settings
        return {
            "iteration": iteration,
            "samples": settings.samples,
            "confidence": settings.confidence,
            "headline_estimator": self._measured.headline,
        }

    def _coords(self, labels: list[str], spectra: list[InnerLoopSpectra]) -> dict[str, Any]:
        measured = self._measured
        horizons = np.arange(1, measured.n + 1)
        coords = {
            "meta_parameter": list(measured.system.names),
            "estimator": list(measured.weights),
            "explanation": labels,
            "horizon": horizons,
            "inner_step": np.arange(measured.n),
            "unroll": np.arange(measured.settings.unrolls),
            "operator": operator_names(spectra[:1]),
            "term": horizons,
        }
        coords |= self._also.coords
        if measured.cuts:
            coords["cut"] = list(measured.cuts)
            coords["cut_horizon"] = np.array(self._mechanism.horizons)
        return coords
