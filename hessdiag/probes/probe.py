"""A probe: spectra and variance at one training state, as one labelled dataset."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import xarray
from jaxtyping import PRNGKeyArray

from hessdiag import spectra
from hessdiag.meta import ESTIMATORS
from hessdiag.probes.explanations import explanations_at
from hessdiag.probes.inner_loop import InnerLoopSpectra, inner_loop_variables, operator_names
from hessdiag.probes.mechanism import MechanismProbe, Sampled
from hessdiag.probes.mechanism_variables import (
    alignment_variables,
    nested_variables,
    sensitivity_variables,
    term_variables,
)
from hessdiag.probes.spectral import SpectralProbe
from hessdiag.probes.spread import VarianceProbe, prediction_variables, variance_variables
from hessdiag.train.learner import Learner, RunKeys, TrainState
from hessdiag.train.settings import Settings, measured_horizon


class Prober:
    """Makes the probes of a configuration's runs; training's state is read, never changed."""

    def __init__(self, learner: Learner, settings: Settings):
        self._learner = learner
        self._settings = settings
        self._n = measured_horizon(settings)
        self._spectra = SpectralProbe(learner.update, settings.probe, n=self._n)
        self._variance = VarianceProbe(learner.update, settings)
        self._mechanism = MechanismProbe(learner.update, settings)
        self._explanations = explanations_at(settings.probe.explanations)

    @property
    def steps(self) -> int:
        """Units of progress in one probe."""
        sampled = 0 if self._mechanism.covers_all_horizons else self._settings.probe.samples
        return sampled + self._spectra.units + self._mechanism.units

    def probe(
        self,
        state: TrainState,
        iteration: int,
        *,
        keys: RunKeys,
        progress: Callable[[int], None],
    ) -> xarray.Dataset:
        """Measure at `state`.

        Sample k draws the same randomness whatever n, so that horizons share it; spectra are
        measured on the unrolls of the first samples.

        Args:
            state: the state before `iteration`.
            iteration: where in training.
            keys: the randomness of the run.
            progress: called with the units done; may raise to abandon the probe.

        Raises:
            NotFiniteError: a meta-gradient is NaN or infinite.
        """
        names = [parameter.name for parameter in self._learner.problem.meta_parameters]
        if self._n == 0:
            coords = {"meta_parameter": names}
            return xarray.Dataset(coords=coords, attrs=self._attributes(iteration))
        settings, steps = self._settings, _Steps(progress)
        samples = _split_at(keys.probe, iteration, settings.probe.samples)
        measured = self._spectra.measure(
            state,
            samples[: settings.probe.unrolls],
            _split_at(keys.lanczos, iteration, 1)[0],
            progress=steps.one,
        )
        sampled = self._mechanism.sample(state, samples, progress=steps.part(self._mechanism.units))
        if sampled.terms is not None and self._mechanism.covers_all_horizons:
            meta_gradients = np.asarray(sampled.terms.contributions)[:, 0].sum(axis=2)
        else:
            part = steps.part(settings.probe.samples)
            meta_gradients = self._variance.sample(state, samples, progress=part)
        labels, predicted = prediction_variables(
            settings, measured, self._mechanism.evidence(sampled), self._explanations
        )
        variables = (
            variance_variables(settings, meta_gradients, seed=[keys.seed, iteration])
            | predicted
            | inner_loop_variables(measured)
            | self._mechanism_variables(sampled, measured, [keys.seed, iteration, 1])
        )
        coords = {
            "meta_parameter": names,
            "estimator": list(ESTIMATORS),
            "explanation": labels,
            "horizon": np.arange(1, self._n + 1),
            "inner_step": np.arange(self._n),
            "unroll": np.arange(settings.probe.unrolls),
            "operator": operator_names(measured[:1]),
            "term": np.arange(1, self._n + 1),
            **self._mechanism.coords,
        }
        described = {
            name: (dims, values, {"long_name": text, "units": units})
            for name, (dims, values, text, units) in variables.items()
        }
        return xarray.Dataset(described, coords=coords, attrs=self._attributes(iteration))

    def _attributes(self, iteration: int) -> dict[str, Any]:
        return {
            "iteration": iteration,
            "samples": self._settings.probe.samples,
            "confidence": self._settings.probe.confidence,
            "headline_estimator": "mix" if self._settings.estimator == "mix" else "n-step",
        }

    def _mechanism_variables(
        self, sampled: Sampled, measured: list[InnerLoopSpectra], seed: list[int]
    ) -> spectra.Variables:
        probe = self._settings.probe
        rng = np.random.default_rng(seed)
        options = {"confidence": probe.confidence, "resamples": probe.resamples, "rng": rng}
        made: spectra.Variables = {}
        if sampled.terms is not None:
            made |= term_variables(sampled.terms, **options)
            if self._mechanism.horizons[-1] == self._n:
                made |= alignment_variables(sampled.terms, [*self._mechanism.paths], measured)
        if sampled.nested is not None:
            made |= nested_variables(sampled.nested, **options)
        if sampled.sensitivities is not None:
            made |= sensitivity_variables(sampled.sensitivities)
        return made


def _split_at(key: PRNGKeyArray, iteration: int, num: int) -> PRNGKeyArray:
    return jax.random.split(jax.random.fold_in(key, iteration), num)


class _Steps:
    """Progress of a probe, added up over its parts."""

    def __init__(self, progress: Callable[[int], None]):
        self._progress = progress
        self._done = 0

    def one(self) -> None:
        """One more unit is done."""
        self._done += 1
        self._progress(self._done)

    def part(self, units: int) -> Callable[[int], None]:
        """What a part of so many units is to call with how many of them it has done."""
        before = self._done
        self._done += units
        return lambda num: self._progress(before + num)
