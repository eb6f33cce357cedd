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

GRID = 256  # points of the density's axis

Variables = dict[str, tuple[tuple[str, ...], np.ndarray, str, str]]
"""Name → dimensions, values, long name, units."""


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


def spectral_variables(measured: list[list[StepSpectrum]]) -> Variables:
    """The measurements as labelled arrays."""
    steps = ("unroll", "inner_step")

    def table(read: Callable[[StepSpectrum], Any], dtype: Any = float) -> np.ndarray:
        return np.array([[read(step) for step in row] for row in measured], dtype)

    ends = "of the Hessian of the inner loss"
    shifted = "of I + H, minus one"
    scalars = {
        "hessian_min": (lambda s: s.ends.lowest, f"lowest eigenvalue {ends}"),
        "hessian_min_error": (lambda s: s.ends.lowest_error, "its error"),
        "hessian_max": (lambda s: s.ends.highest, f"highest eigenvalue {ends}"),
        "hessian_max_error": (lambda s: s.ends.highest_error, "its error"),
        "paper_low": (lambda s: s.shifted.low_minus_one, f"lowest eigenvalue {shifted}"),
        "paper_low_error": (lambda s: s.shifted.low_minus_one_error, "its error"),
        "paper_high": (lambda s: s.shifted.high_minus_one, f"highest eigenvalue {shifted}"),
        "paper_high_error": (lambda s: s.shifted.high_minus_one_error, "its error"),
        "spectral_radius_minus_one": (
            lambda s: s.shifted.spectral_radius_minus_one,
            "spectral radius of I + H, minus one",
        ),
        "spectral_radius_minus_one_error": (
            lambda s: s.shifted.spectral_radius_minus_one_error,
            "its error",
        ),
        "symmetry_defect": (lambda s: s.symmetry_defect, "relative asymmetry of the operator"),
        "start_disagreement": (
            lambda s: s.ends.disagreement,
            "distance between the starts' extremes over their errors",
        ),
        "orthogonality": (lambda s: s.ends.orthogonality, "largest entry of |QQ' - I|"),
    }
    for name, split, where in (
        ("mass_above_zero", "above", "above 0"),
        ("mass_inside", "inside", "in [-2, 0) without the zeros"),
        ("mass_below_minus_two", "below", "below -2"),
        ("mass_at_zero", "zero", "at 0 to rounding"),
        ("mass_undecided", "undecided", "on a side that its error leaves open"),
    ):
        scalars[name] = (
            lambda s, k=split: getattr(s.masses, k)[0],
            f"share of H's spectrum {where}",
        )
        scalars[f"{name}_se"] = (lambda s, k=split: getattr(s.masses, k)[1], "its standard error")
    variables: Variables = {
        name: (steps, table(read), text, "1") for name, (read, text) in scalars.items()
    }
    variables["exceeds_one"] = (
        steps,
        table(lambda s: s.shifted.exceeds_one, object),
        "whether the spectral radius of I + H exceeds one, by its interval",
        "yes, no or undecided",
    )
    variables["matvecs"] = (steps, table(lambda s: s.ends.matvecs, np.int32), "products spent", "1")
    variables["converged"] = (
        steps,
        table(lambda s: s.ends.converged, np.int8),
        "whether every start reached the tolerance",
        "1",
    )
    variables["learning_rate"] = (
        ("inner_step",),
        np.array([step.alpha for step in measured[0]]),
        "learning rate of the inner step",
        "1",
    )
    return variables | _ritz_variables(measured) | _density_variables(measured)


def _ritz_variables(measured: list[list[StepSpectrum]]) -> Variables:
    """All Ritz values, padded with NaN to the longest run."""
    starts = len(measured[0][0].runs)
    longest = max(len(run.values) for row in measured for step in row for run in step.runs)
    dims = ("unroll", "inner_step", "start", "ritz")
    variables: Variables = {}
    for name, field, text in (
        ("ritz_value", "values", "eigenvalue estimate of the Hessian of the inner loss"),
        ("ritz_weight", "weights", "its weight in the spectral measure of the start"),
        ("ritz_error", "errors", "its error"),
    ):
        padded = np.full((len(measured), len(measured[0]), starts, longest), np.nan)
        for at in np.ndindex(padded.shape[:3]):
            values = getattr(measured[at[0]][at[1]].runs[at[2]], field)
            padded[at][: len(values)] = values
        variables[name] = (dims, padded, text, "1")
    return variables


def _density_variables(measured: list[list[StepSpectrum]]) -> Variables:
    """Smoothed density and cumulative measure of every spectrum, each on its own axis."""
    dims = ("unroll", "inner_step", "grid")
    shape = (len(measured), len(measured[0]), GRID)
    axis, density, total, error = (np.empty(shape) for _ in range(4))
    for at in np.ndindex(shape[:2]):
        runs = measured[at[0]][at[1]].runs
        axis[at] = spectra.grid(runs, GRID)
        density[at] = spectra.density(runs, axis[at])
        total[at], error[at] = spectra.cumulative(runs, axis[at])
    return {
        "density_grid": (dims, axis, "eigenvalue of the Hessian of the inner loss", "1"),
        "density": (dims, density, "smoothed spectral density", "1"),
        "cumulative": (dims, total, "share of eigenvalues at or below", "1"),
        "cumulative_se": (dims, error, "its standard error over starts", "1"),
    }
