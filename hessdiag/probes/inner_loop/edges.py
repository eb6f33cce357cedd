"""How far an inner loop is from the edge of stability, at its first step."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.stages import Lowered
from jaxtyping import Array, Float, Key

from hessdiag import spectra
from hessdiag.devices import ONE, Devices
from hessdiag.inner.edge import edge
from hessdiag.inner.products import step_at
from hessdiag.inner.step import InnerStep
from hessdiag.probes.inner_loop.hessians import symmetric_runs
from hessdiag.probes.inner_loop.measured import EdgeDistance
from hessdiag.probes.inner_loop.settings import InnerLoopSettings
from hessdiag.spectra.curvature import symmetric_on
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.ritz import RitzValues, with_rounding


class EdgeRuns(NamedTuple):
    """Runs on the preconditioned Hessian of the first inner step."""

    runs: list[RitzValues]
    vector: Float[Array, " d"]  # the first one's highest
    limit: float
    along_gradient: float

    def distance(self, noise: float) -> EdgeDistance:
        """What they say, where products of the vector were seen to be off by the noise."""
        ends = spectra.extremes([with_rounding(run, noise) for run in self.runs])
        return EdgeDistance(
            limit=self.limit,
            sharpness=ends.highest,
            error=ends.highest_error,
            along_gradient=self.along_gradient,
            matvecs=ends.matvecs,
        )


def preconditioned_hessian(step: InnerStep) -> Operator:
    """√R ∇²L √R with R the optimiser's response to a gradient (`inner.edge`)."""
    root = jnp.sqrt(edge(step).response)
    return symmetric_on(step.params, lambda v: root * step.hessian.product(root * v))


class Edges:
    """Measures the distance; the program is compiled at first use. Devices share start vectors."""

    def __init__(self, settings: InnerLoopSettings, devices: Devices = ONE):
        self._settings, self._devices = settings, devices.at_most(settings.starts)
        self._decompose = jax.jit(self._decomposed)

    def measure(self, steps: InnerStep, key: Key[Array, ""]) -> EdgeRuns:
        """Of the first of stacked steps."""
        on_each = self._devices.copies(steps)
        made, vector, limit, along_gradient = self._decompose(on_each, key)
        runs = symmetric_runs(spectra.ritz_values_per_start, made)
        return EdgeRuns(runs, self._devices.first(vector), float(limit), float(along_gradient))

    def lowered(self, steps: InnerStep, key: Key[Array, ""]) -> Iterator[Lowered]:
        """What `measure` will run, to be compiled."""
        yield self._decompose.lower(self._devices.copies(steps), key)

    def _decomposed(self, steps: InnerStep, key: Key[Array, ""]):
        step = step_at(steps, 0)
        gradient, shape = step.gradient, (self._settings.starts, step.params.size)

        def runs_of(starts, step):
            operator = preconditioned_hessian(step)

            def without_basis(start):
                run = spectra.lanczos(operator, start, **self._settings.krylov)
                return run._replace(basis=None), spectra.end_vector(run, "highest")

            return jax.lax.map(without_basis, starts)

        starts = jax.random.normal(key, shape, step.params.dtype)
        runs, vectors = self._devices.spread(runs_of, starts, step)
        length = jnp.vdot(gradient, gradient)
        curvature = jnp.vdot(gradient, step.hessian.product(gradient))
        rate = jnp.nan if step.learning_rate is None else step.learning_rate
        along_gradient = rate * curvature / jnp.where(length > 0, length, jnp.nan)
        return runs, vectors[0], edge(step).limit, along_gradient
