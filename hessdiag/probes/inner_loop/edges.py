"""How far an inner loop is from the edge of stability, at its first step."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax.stages import Lowered
from jaxtyping import Array, Key

from hessdiag import spectra
from hessdiag.inner.edge import edge
from hessdiag.inner.products import step_at
from hessdiag.inner.step import InnerStep
from hessdiag.probes.inner_loop.hessians import symmetric_runs
from hessdiag.probes.inner_loop.measured import EdgeDistance
from hessdiag.probes.inner_loop.settings import InnerLoopSettings
from hessdiag.spectra.curvature import symmetric_on


class Edges:
    """Measures the distance; the program is compiled at first use."""

    def __init__(self, settings: InnerLoopSettings):
        self._settings = settings
        self._decompose = jax.jit(self._decomposed)

    def measure(self, steps: InnerStep, key: Key[Array, ""]) -> EdgeDistance:
        """Of the first of stacked steps."""
        runs, limit, along_gradient = jax.device_get(self._decompose(steps, key))
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
        yield self._decompose.lower(steps, key)

    def _decomposed(self, steps: InnerStep, key: Key[Array, ""]):
        step = step_at(steps, 0)
        response, limit = edge(step)
        root, gradient = jnp.sqrt(response), step.gradient
        operator = symmetric_on(step.params, lambda v: root * step.hessian.product(root * v))
        shape = (self._settings.starts, operator.size)

        def without_basis(start):
            return spectra.lanczos(operator, start, **self._settings.krylov)._replace(basis=None)

        runs = jax.lax.map(without_basis, jax.random.normal(key, shape, operator.dtype))
        length = jnp.vdot(gradient, gradient)
        curvature = jnp.vdot(gradient, step.hessian.product(gradient))
        rate = jnp.nan if step.learning_rate is None else step.learning_rate
        return runs, limit, rate * curvature / jnp.where(length > 0, length, jnp.nan)
