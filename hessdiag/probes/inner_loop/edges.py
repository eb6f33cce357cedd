"""How far an inner loop is from the edge of stability, at its first step."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax.stages import Lowered
from jaxtyping import Array, Key

from hessdiag import spectra
from hessdiag.devices import ONE, Devices
from hessdiag.inner.edge import edge
from hessdiag.inner.products import step_at
from hessdiag.inner.step import InnerStep
from hessdiag.probes.inner_loop.hessians import symmetric_runs
from hessdiag.probes.inner_loop.measured import EdgeDistance
from hessdiag.probes.inner_loop.settings import InnerLoopSettings
from hessdiag.spectra.curvature import symmetric_on


class Edges:
    """Measures the distance; the program is compiled at first use. Devices share start vectors."""

    def __init__(self, settings: InnerLoopSettings, devices: Devices = ONE):
        self._settings, self._devices = settings, devices.at_most(settings.starts)
        self._decompose = jax.jit(self._decomposed)

    def measure(self, steps: InnerStep, key: Key[Array, ""]) -> EdgeDistance:
        """Of the first of stacked steps."""
        on_each = self._devices.copies(steps)
        runs, limit, along_gradient = jax.device_get(self._decompose(on_each, key))
        ends = spectra.extremes(symmetric_runs(spectra.ritz_values_per_start, runs))
        return EdgeDistance(
            limit=float(limit),
            sharpness=ends.highest,
            error=ends.highest_error,
            along_gradient=float(along_gradient),
            matvecs=ends.matvecs,
        )

    def lowered(self, steps: InnerStep, key: Key[Array, ""]) -> Iterator[Lowered]:
        """What `measure` will run, to be compiled."""
        yield self._decompose.lower(self._devices.copies(steps), key)

    def _decomposed(self, steps: InnerStep, key: Key[Array, ""]):
        step = step_at(steps, 0)
        response, limit = edge(step)
        root, gradient = jnp.sqrt(response), step.gradient
        shape = (self._settings.starts, step.params.size)

        def runs_of(starts, step, root):
            operator = symmetric_on(step.params, lambda v: root * step.hessian.product(root * v))

            def without_basis(start):
                run = spectra.lanczos(operator, start, **self._settings.krylov)
                return run._replace(basis=None)

            return jax.lax.map(without_basis, starts)

        starts = jax.random.normal(key, shape, step.params.dtype)
        runs = self._devices.spread(runs_of, starts, step, root)
        length = jnp.vdot(gradient, gradient)
        curvature = jnp.vdot(gradient, step.hessian.product(gradient))
        rate = jnp.nan if step.learning_rate is None else step.learning_rate
        return runs, limit, rate * curvature / jnp.where(length > 0, length, jnp.nan)
