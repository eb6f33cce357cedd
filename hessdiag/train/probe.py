"""The probe of a configuration's runs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from hessdiag.devices import ONE, Devices
from hessdiag.inner import constants_of
from hessdiag.meta import ESTIMATORS, Estimator, Options, Start, Sweep, System, Validation
from hessdiag.probes.also import AlsoMeasured
from hessdiag.probes.measured import Measured
from hessdiag.probes.mechanism import MechanismProbe, meta_gradients_of
from hessdiag.probes.probe import Probe
from hessdiag.statistics import mix_weights
from hessdiag.train.learner import Learner
from hessdiag.train.options import cut_of
from hessdiag.train.settings import Settings, constants, measured_horizon


def probe_of(learner: Learner, settings: Settings) -> Probe:
    """The probe of these runs."""
    return Probe(measured_by(learner, settings))


def measured_by(learner: Learner, settings: Settings) -> Measured:
    """What it measures."""
    memory = constants_of(settings.learning.optimiser, **constants(settings.learning)).get("b1")
    return measured_of(learner.system, learner.start, settings, memory, learner.devices)


def measured_of(
    system: System,
    start: Callable[..., Start],
    settings: Settings,
    memory: float | None,
    devices: Devices = ONE,
) -> Measured:
    """What probes of a system measure that starts where `start` says; see `Measured`."""
    names = settings.probe.counterfactuals
    n = measured_horizon(settings)
    weights = horizon_weights(n, settings.kappa)
    headline = settings.estimator if settings.estimator in weights else next(iter(weights))
    return Measured(
        system=system,
        start=start,
        n=n,
        settings=settings.probe,
        cuts={name: cut_of(name, settings) for name in ("full", *names)} if names else {},
        weights=weights,
        mixing=[mix_weights(i, settings.kappa) for i in range(1, n + 1)],
        headline=headline,
        memory=memory,
        devices=devices,
    )


def sampling_programs(measured: Measured) -> list[tuple[Any, int]]:
    """Functions of a state and a chunk's keys, compiled at first use; how often a probe calls each.

    They sample meta-gradients and their parts.
    """
    mechanism = MechanismProbe(measured)
    programs = [*mechanism.programs, *AlsoMeasured(measured).programs]
    if not mechanism.covers_all_horizons:
        chunks = meta_gradients_of(measured)
        programs.append((chunks.program, chunks.calls(measured.settings.samples)))
    return programs


def horizon_weights(n: int, kappa: float | None) -> dict[str, list]:
    """Weights of the estimators that are sums over horizons of the outer loss's meta-gradients.

    By name, w_1 … w_i of every i = 1 … n: one unroll gives all of these estimators. The mixing
    factor κ is the default at each horizon where it is None.
    """
    weights = {
        name: [_horizon_weights(build(Options(n=i, kappa=kappa))) for i in range(1, n + 1)]
        for name, build in ESTIMATORS.items()
    }
    return {name: rows for name, rows in weights.items() if all(row is not None for row in rows)}


def _horizon_weights(estimator: Estimator) -> np.ndarray | None:
    """Of one that is such a sum; None where it is not."""
    if not isinstance(estimator, Sweep) or estimator.objective != Validation():
        return None
    if estimator.scores != "none":
        return None
    return estimator.horizon_weights if estimator.cut == estimator.options.cut else None
