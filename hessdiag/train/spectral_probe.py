"""Spectra of the inner loss at every inner step of an unroll, on that unroll's trajectories."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag import spectra
from hessdiag.meta import InnerUpdate, Unroll, point, unroll
from hessdiag.meta.inner_update import Eta
from hessdiag.train.learner import TrainState
from hessdiag.train.settings import ProbeSettings


@dataclass(frozen=True)
class StepSpectrum:
    """The spectrum at one inner step of one unroll.

    Attributes:
        alpha: learning rate α of the step.
        runs: Ritz values of every start (or the dense spectrum) of ∇²L.
        ends: extremes of ∇²L.
        shifted: extremes of I + H = I − α∇²L, minus one.
        masses: where the eigenvalues of H lie.
        symmetry_defect: measured asymmetry of the operator.
    """

    alpha: float
    runs: list[spectra.RitzValues]
    ends: spectra.Extremes
    shifted: spectra.ShiftedExtremes
    masses: spectra.MassSplit
    symmetry_defect: float


class SpectralProbe:
    """Measures spectra; one compiled program whatever the inner step, unroll and probe."""

    def __init__(self, update: InnerUpdate, settings: ProbeSettings, *, n: int):
        self._update = update
        self._settings = settings
        self._n = n
        self._unroll = jax.jit(self._look_ahead)
        self._dense = jax.jit(self._dense_matrix)
        self._lanczos = jax.jit(self._decompose)

    def measure(
        self,
        state: TrainState,
        keys: PRNGKeyArray,
        lanczos_key: PRNGKeyArray,
        *,
        progress: Callable[[], None],
    ) -> list[list[StepSpectrum]]:
        """Spectra on the unrolls with the given keys.

        Args:
            state: the training state.
            keys: keys of the unrolls, the same as the meta-gradients' of those samples.
            lanczos_key: randomness of the start vectors.
            progress: called after each spectrum.

        Returns:
            For every unroll, for every inner step.
        """
        measured = []
        for unroll_key in keys:
            points = self._unroll(state, unroll_key)
            steps = []
            for j in range(self._n):
                own_key = jax.random.fold_in(lanczos_key, j)
                steps.append(self._step(point(points.states, j), state.eta, points, j, own_key))
                progress()
            measured.append(steps)
        return measured

    def _look_ahead(self, state: TrainState, key: PRNGKeyArray) -> Unroll:
        return unroll(self._update, state.inner, state.eta, state.env_state, key, n=self._n)

    def _step(self, inner, eta: Eta, points: Unroll, j: int, key) -> StepSpectrum:
        trajectories = point(points.trajectories, j)
        size = sum(leaf.size for leaf in jax.tree.leaves(inner.params))
        if size <= spectra.DENSE_LIMIT:
            defect, matrix = self._dense(inner.params, eta, trajectories, key)
            spectra.require_symmetric(defect, matrix.dtype)
            runs = [spectra.matrix_spectrum(np.asarray(matrix))]
        else:
            defect, decomposition = self._lanczos(inner.params, eta, trajectories, key)
            spectra.require_symmetric(defect, decomposition.alpha.dtype)
            runs = spectra.ritz_values_per_start(decomposition)
        alpha = float(self._update.learning_rate(inner.step))
        ends = spectra.extremes(runs)
        return StepSpectrum(
            alpha=alpha,
            runs=runs,
            ends=ends,
            shifted=spectra.shifted(ends, alpha),
            masses=spectra.mass_split(runs, alpha),
            symmetry_defect=float(defect),
        )

    def _operator(self, params, eta: Eta, trajectories: Any) -> spectra.Operator:
        return spectra.hessian(lambda p: self._update.loss(p, eta, trajectories), params)

    def _dense_matrix(self, params, eta, trajectories, key):
        operator = self._operator(params, eta, trajectories)
        return spectra.symmetry_defect(operator, key), spectra.dense_matrix(operator)

    def _decompose(self, params, eta, trajectories, key):
        operator = self._operator(params, eta, trajectories)
        settings = self._settings
        check_key, start_key = jax.random.split(key)
        starts = jax.random.normal(start_key, (settings.starts, operator.size), operator.dtype)

        def decompose(start):
            return spectra.lanczos(
                operator,
                start,
                max_matvecs=settings.max_matvecs,
                tolerance=settings.tolerance,
            )

        return spectra.symmetry_defect(operator, check_key), jax.lax.map(decompose, starts)
