"""Spectra of the Hessians along an inner loop."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered
from jaxtyping import Array, Float, Int, Key

from hessdiag import spectra
from hessdiag.devices import ONE, Devices
from hessdiag.inner.products import step_at
from hessdiag.inner.step import InnerStep
from hessdiag.meta import streams
from hessdiag.probes.inner_loop.measured import HessianSpectrum
from hessdiag.probes.inner_loop.settings import InnerLoopSettings, Progress
from hessdiag.spectra.gram_schmidt import nonzero
from hessdiag.spectra.ritz import with_rounding


class HessianRuns(NamedTuple):
    """Runs on the Hessian of one inner step."""

    runs: list[spectra.RitzValues]
    size: int
    alpha: float | None
    vector: Float[Array, " d"]  # of unit length, between the first run's ends; or zero

    def spectrum(self, noise: float = 0.0) -> HessianSpectrum:
        """What they say, where products of the vector were seen to be off by the noise."""
        runs, alpha = [with_rounding(run, noise) for run in self.runs], self.alpha
        ends = spectra.extremes(runs)
        return HessianSpectrum(
            runs=runs,
            ends=ends,
            symmetry_defect=float(np.max([run.asymmetry for run in runs])),
            size=self.size,
            alpha=alpha,
            shifted=None if alpha is None else spectra.shifted(ends, alpha),
            masses=None if alpha is None else spectra.mass_split(runs, alpha),
        )


class Hessians:
    """Measures Hessians; the program is compiled at first use, and serves all inner steps.

    Devices share the start vectors.
    """

    def __init__(self, settings: InnerLoopSettings, devices: Devices = ONE):
        self._settings, self._devices = settings, devices.at_most(settings.starts)
        self._decompose = jax.jit(self._decomposed)
        self._dense = jax.jit(lambda steps, j: spectra.dense_matrix(step_at(steps, j).hessian))

    def measure(
        self, steps: InnerStep, key: Key[Array, ""], progress: Progress
    ) -> tuple[list[HessianRuns], Float[Array, " d"]]:
        """The runs of all steps, and the last one's lowest Ritz vector: zero if there is none.

        All is NaN of a Hessian that is not symmetric to within rounding, but its defect.
        """
        hessians, lowest = [], jnp.zeros_like(steps.gradient[0])
        on_each = self._devices.copies(steps)
        for j in range(len(steps.gradient)):
            if steps.params.size <= spectra.DENSE_LIMIT:
                matrix = np.asarray(self._dense(steps, j))
                runs = symmetric_runs(spectra.matrix_spectrum, matrix)
                between = _between_ends(matrix)
            else:
                found = self._decompose(on_each, j, streams.numbered(key, j))
                decompositions, lowest, between = found
                runs = symmetric_runs(spectra.ritz_values_per_start, decompositions)
            rate = None if steps.learning_rate is None else float(steps.learning_rate[j])
            vector = self._devices.first(between)
            hessians.append(HessianRuns(runs, steps.params.size, rate, vector))
            progress()
        return hessians, self._devices.first(lowest)

    def lowered(self, steps: InnerStep, key: Key[Array, ""]) -> Iterator[Lowered]:
        """What `measure` will run, to be compiled."""
        if steps.params.size <= spectra.DENSE_LIMIT:
            yield self._dense.lower(steps, 0)
        else:
            yield self._decompose.lower(self._devices.copies(steps), 0, key)

    def _decomposed(self, steps: InnerStep, j: Int[Array, ""], key: Key[Array, ""]):
        step, settings = step_at(steps, j), self._settings
        shape = (settings.starts, step.params.size)

        def runs_of(starts, step):
            operator, least = step.hessian, settings.min_matvecs

            def without_basis(start):
                run = spectra.lanczos(operator, start, min_matvecs=least, **settings.krylov)
                lowest, highest = (spectra.end_vector(run, end) for end in ("lowest", "highest"))
                return run._replace(basis=None), lowest, lowest + highest

            return jax.lax.map(without_basis, starts)

        starts = jax.random.normal(key, shape, step.params.dtype)
        runs, lowest, between = self._devices.spread(runs_of, starts, step)
        return runs, lowest[0], between[0] / nonzero(jnp.linalg.norm(between[0]))


def symmetric_runs(read: Callable[[Any], Any], products: Any) -> list[spectra.RitzValues]:
    """The runs that are read from products; one without a number, where these are not symmetric."""
    try:
        runs = read(products)
    except (spectra.NonSymmetricOperatorError, spectra.NoisyOperatorError) as error:
        nothing, defect = np.full(1, np.nan), getattr(error, "defect", np.nan)
        numbers = (nothing, nothing, nothing, 0, False, 0.0, np.nan, defect, 1)
        return [spectra.RitzValues(*numbers, tridiagonal=np.full((2, 1), np.nan))]
    return runs if isinstance(runs, list) else [runs]


def _between_ends(matrix: Float[np.ndarray, "d d"]) -> Float[Array, " d"]:
    """The sum of the eigenvectors of both ends, of unit length."""
    wide = np.nan_to_num(matrix.astype(np.float64), nan=0, posinf=0, neginf=0)
    vectors = np.linalg.eigh((wide + wide.T) / 2)[1]
    between = vectors[:, 0] + (len(wide) > 1) * vectors[:, -1]
    return jnp.asarray(between / np.linalg.norm(between), matrix.dtype)
