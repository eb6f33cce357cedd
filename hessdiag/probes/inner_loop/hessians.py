"""Spectra of the Hessians along an inner loop."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from hessdiag.inner.products import step_at
from hessdiag.inner.step import InnerStep
from hessdiag.probes.inner_loop.measured import HessianSpectrum
from hessdiag.probes.inner_loop.settings import InnerLoopSettings
from hessdiag.spectra.dense import DENSE_LIMIT, dense_matrix, matrix_spectrum
from hessdiag.spectra.density import mass_split
from hessdiag.spectra.lanczos import end_vector, lanczos
from hessdiag.spectra.ritz import extremes, ritz_values_per_start, shifted


class Hessians:
    """Measures Hessians; the program is compiled at first use, and serves all inner steps."""

    def __init__(self, settings: InnerLoopSettings):
        self._settings = settings
        self._decompose = jax.jit(self._decomposed)
        self._dense = jax.jit(lambda steps, j: dense_matrix(step_at(steps, j).hessian))

    def measure(
        self, steps: InnerStep, j: int, key: Key[Array, ""]
    ) -> tuple[HessianSpectrum, Float[Array, " d"]]:
        """The spectrum at inner step j, and the lowest Ritz vector: zero where there is none.

        Raises:
            NonSymmetricOperatorError: If the Hessian is not symmetric to within rounding.
        """
        if steps.params.size <= DENSE_LIMIT:
            matrix = self._dense(steps, j)
            runs, lowest = [matrix_spectrum(np.asarray(matrix))], jnp.zeros_like(matrix[0])
        else:
            decompositions, lowest = self._decompose(steps, j, key)
            runs = ritz_values_per_start(decompositions)
        alpha = None if steps.learning_rate is None else float(steps.learning_rate[j])
        ends = extremes(runs)
        spectrum = HessianSpectrum(
            runs=runs,
            ends=ends,
            symmetry_defect=float(np.max([run.asymmetry for run in runs])),
            size=steps.params.size,
            alpha=alpha,
            shifted=None if alpha is None else shifted(ends, alpha),
            masses=None if alpha is None else mass_split(runs, alpha),
        )
        return spectrum, lowest

    def _decomposed(self, steps: InnerStep, j: Int[Array, ""], key: Key[Array, ""]):
        operator, settings = step_at(steps, j).hessian, self._settings
        starts = jax.random.normal(key, (settings.starts, operator.size), operator.dtype)
        decompose = partial(
            lanczos,
            operator,
            max_matvecs=settings.max_matvecs,
            tolerance=settings.tolerance,
            min_matvecs=settings.min_matvecs,
            check_every=1,
            keep_basis=True,
        )

        def without_basis(start):
            run = decompose(start)
            return run._replace(basis=None), end_vector(run, "lowest")

        runs, lowest = jax.lax.map(without_basis, starts)
        return runs, lowest[0]
