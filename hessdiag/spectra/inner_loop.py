"""Spectra of every operator along an inner loop, from programs that are compiled once.

The inner steps are linearised together, once, and everything else replays those linearisations:
one compiled program per operator serves all inner steps, inner loops and products of any length.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from hessdiag.spectra.arnoldi import arnoldi, outermost_vector
from hessdiag.spectra.balancing import balanced
from hessdiag.spectra.complex_ritz import complex_ritz_values
from hessdiag.spectra.dense import DENSE_LIMIT, dense_matrix, matrix_spectrum
from hessdiag.spectra.density import mass_split
from hessdiag.spectra.inner_loop_spectra import (
    HessianSpectrum,
    InnerLoopSpectra,
    OperatorSpectrum,
    ProductNorm,
)
from hessdiag.spectra.inner_step import InnerStep
from hessdiag.spectra.lanczos import end_vector, lanczos
from hessdiag.spectra.loop_balancing import balancing_scales
from hessdiag.spectra.normality import (
    NormMinusOne,
    departure_from_normality,
    gram_minus_identity,
    norm_minus_one,
)
from hessdiag.spectra.ritz import (
    RitzValues,
    extremes,
    ritz_values,
    ritz_values_per_start,
    shifted,
)
from hessdiag.spectra.spectral_radius import spectral_radius_minus_one
from hessdiag.spectra.step_products import named_operator, product_over_steps, step_at

OPERATORS = ("paper", "preconditioned", "update", "augmented")
"""What an inner step multiplies by, from the published approximation to the exact map."""

ALL_OPERATORS = (*OPERATORS, "semi-gradient")
"""With the map that no meta-gradient uses, see `InnerStep.semi_gradient`."""

Progress = Callable[[], None]


class _Measured(NamedTuple):
    """The norm of a product, and where to start a similar run: its right singular vector."""

    norm: ProductNorm
    vector: Float[Array, " d"]


@dataclass(frozen=True)
class InnerLoopSettings:
    """What is measured, and how exactly.

    Attributes:
        operators: Some of `ALL_OPERATORS`. The paper's, which the Hessian's spectrum gives for
            nothing, is measured in any case where there is a learning rate.
        products: Whether norms of products over inner steps are measured, too.
        starts: Random start vectors of each Hessian's spectrum.
        min_matvecs: Products per start of a Hessian at the least, for the density.
        max_matvecs: Products per run at the most.
        tolerance: Residual, relative to the norm, at which the wanted ends count as converged.
        departure_probes: Random vectors behind each departure from normality.
    """

    operators: tuple[str, ...] = OPERATORS
    products: bool = True
    starts: int = 2
    min_matvecs: int = 0
    max_matvecs: int = 48
    tolerance: float = 1e-3
    departure_probes: int = 4


class InnerLoop:
    """Measures inner loops of one kind; all programs are compiled at first use.

    Args:
        linearise: A point of the inner loop (any pytree of arrays: parameters, optimiser state,
            batch, ...) -> its `InnerStep`; pure and jit-able.
        settings: What is measured.
    """

    def __init__(
        self,
        linearise: Callable[[Any], InnerStep],
        settings: InnerLoopSettings = InnerLoopSettings(),
    ):
        self._settings = settings
        self._linearise = jax.jit(lambda points: jax.lax.map(linearise, points))
        self._idle = jax.jit(lambda steps: jnp.all(jax.lax.map(_is_idle, steps)))
        self._hessian = jax.jit(self._decompose_hessian)
        self._dense_hessian = jax.jit(_dense_hessian)
        self._scales = jax.jit(balancing_scales, static_argnames="names")
        self._arnoldi = jax.jit(self._decompose, static_argnames="name")
        self._norm = jax.jit(self._decompose_gram, static_argnames="name")

    def of_hessians_alone(self) -> Self:
        """The same programs for Hessians, without other operators and products."""
        alone = copy.copy(self)
        alone._settings = dataclasses.replace(self._settings, operators=(), products=False)
        return alone

    def units(self, n: int) -> int:
        """Calls of `progress` that `measure` makes for n inner steps with a learning rate."""
        others = len(self._others)
        return n * (1 + others + (1 + others) * self._settings.products)

    @property
    def _others(self) -> tuple[str, ...]:
        """The operators besides the paper's, in their order."""
        return tuple(name for name in ALL_OPERATORS[1:] if name in self._settings.operators)

    def measure(
        self, points: PyTree[Array], key: Key[Array, ""], *, progress: Progress = lambda: None
    ) -> InnerLoopSpectra:
        """Measure one inner loop.

        Args:
            points: The points of its n inner steps, stacked.
            key: Randomness of start vectors and probes.
            progress: Called after each spectrum; may raise to abandon the measurement.

        Raises:
            NonSymmetricOperatorError: If a Hessian is not symmetric to within rounding.
        """
        steps = self._linearise(points)
        n = len(steps.gradient)
        hessian_key, operator_key, product_key = jax.random.split(key, 3)
        hessians, lowest = [], jnp.zeros_like(steps.gradient[0])
        for j in range(n):
            hessian, lowest = self._one_hessian(steps, j, jax.random.fold_in(hessian_key, j))
            hessians.append(hessian)
            progress()
        idle = bool(self._others) and bool(self._idle(steps))
        paper = _paper_step(hessians[-1], lowest)
        return InnerLoopSpectra(
            hessians=hessians,
            operators=self._all_operators(steps, n, operator_key, idle, progress),
            products=self._all_products(steps, n, product_key, idle, paper, progress),
        )

    def _one_hessian(
        self, steps: InnerStep, j: int, key: Key[Array, ""]
    ) -> tuple[HessianSpectrum, Float[Array, " d"]]:
        """The spectrum, and the lowest Ritz vector: zero where there is none."""
        if steps.params.size <= DENSE_LIMIT:
            matrix = self._dense_hessian(steps, j)
            runs, lowest = [matrix_spectrum(np.asarray(matrix))], jnp.zeros_like(matrix[0])
        else:
            decompositions, lowest = self._hessian(steps, j, key)
            runs = ritz_values_per_start(decompositions)
        alpha = None if steps.learning_rate is None else float(steps.learning_rate[j])
        ends = extremes(runs)
        spectrum = HessianSpectrum(
            runs=runs,
            ends=ends,
            symmetry_defect=max(run.asymmetry for run in runs),
            size=steps.params.size,
            alpha=alpha,
            shifted=None if alpha is None else shifted(ends, alpha),
            masses=None if alpha is None else mass_split(runs, alpha),
        )
        return spectrum, lowest

    def _all_operators(
        self, steps: InnerStep, n: int, key: Key[Array, ""], idle: bool, progress: Progress
    ) -> dict[str, list[OperatorSpectrum]]:
        names = self._others
        computed = _without_copies(names, idle)
        if not computed:
            return {}
        scale_key, key = jax.random.split(key)
        scales = self._scales(steps, scale_key, names=computed)
        made: dict[str, list[OperatorSpectrum]] = {}
        for index, name in enumerate(computed):
            own_key = jax.random.fold_in(key, index)
            made[name] = list(self._along(steps, n, name, scales[name], own_key, progress))
        return _with_copies(made, names, progress)

    def _along(
        self, steps: InnerStep, n: int, name: str, scale, key: Key[Array, ""], progress: Progress
    ) -> Iterator[OperatorSpectrum]:
        """One operator at every inner step, each started from where the last one ended."""
        warm = jnp.zeros_like(scale[0])
        for j in range(n):
            decomposition, departure, warm = self._arnoldi(
                steps, j, scale[j], jax.random.fold_in(key, j), warm, name=name
            )
            departure = jax.device_get(departure)
            ritz = complex_ritz_values(decomposition, departure=float(departure.upper))
            yield OperatorSpectrum(ritz, spectral_radius_minus_one(ritz), departure)
            progress()

    def _all_products(
        self,
        steps: InnerStep,
        n: int,
        key: Key[Array, ""],
        idle: bool,
        paper: _Measured | None,
        progress: Progress,
    ) -> dict[str, list[ProductNorm]]:
        """Norms by operator; those of a single step are measured once where two are the same."""
        if not self._settings.products:
            return {}
        names = (() if paper is None else ("paper",)) + self._others
        of_one_step = {} if paper is None else {"paper": paper}
        made: dict[str, list[ProductNorm]] = {}
        for index, name in enumerate(_without_copies(names, idle)):
            own_key = jax.random.fold_in(key, index)
            known = of_one_step.get(name)
            measured = list(self._norms(steps, n, name, own_key, known, progress))
            made[name] = [norm for norm, _ in measured]
            if n > 1 and name == ("preconditioned" if idle else "update"):
                norm = dataclasses.replace(measured[1].norm, matvecs=0)
                of_one_step["augmented"] = measured[1]._replace(norm=norm)
        return _with_copies(made, names, progress)

    def _norms(
        self,
        steps: InnerStep,
        n: int,
        name: str,
        key: Key[Array, ""],
        of_one_step: _Measured | None,
        progress: Progress,
    ) -> Iterator[_Measured]:
        """|P_1| .. |P_n|, each started from the last one's singular vector."""
        measured = _Measured(
            ProductNorm(NormMinusOne(0.0, 0.0, "no"), 0, True), jnp.zeros_like(steps.gradient[0])
        )
        for i in range(1, n + 1):
            if i == 2 and of_one_step is not None:
                measured = of_one_step
            elif i > 1:
                own_key = jax.random.fold_in(key, i)
                run, vector = self._norm(steps, n - i + 1, own_key, measured.vector, name=name)
                measured = _Measured(_product_norm(ritz_values(run)), vector)
            yield measured
            progress()

    def _decompose_hessian(self, steps: InnerStep, j: Int[Array, ""], key: Key[Array, ""]):
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

        def ends(start):
            run = decompose(start)
            return run._replace(basis=None), end_vector(run, "lowest")

        runs, lowest = jax.lax.map(ends, starts)
        return runs, lowest[0]

    def _decompose(
        self, steps: InnerStep, j: Int[Array, ""], scale, key: Key[Array, ""], warm, *, name: str
    ):
        operator = balanced(named_operator(step_at(steps, j), name), scale).minus_identity
        assert operator is not None
        start_key, probe_key = jax.random.split(key)
        run = arnoldi(
            operator,
            _start(start_key, warm),
            max_matvecs=self._settings.max_matvecs,
            tolerance=self._settings.tolerance,
            shift=1.0,
            check_every=1,
            keep_basis=True,
        )
        departure = departure_from_normality(
            operator, probe_key, num_probes=self._settings.departure_probes
        )
        return run._replace(basis=None), departure, outermost_vector(run, shift=1.0)

    def _decompose_gram(
        self, steps: InnerStep, first: Int[Array, ""], key: Key[Array, ""], warm, *, name: str
    ):
        run = lanczos(
            gram_minus_identity(product_over_steps(steps, first, name)),
            _start(key, warm),
            max_matvecs=self._settings.max_matvecs,
            tolerance=self._settings.tolerance,
            ends="highest",
            check_every=1,
            keep_basis=True,
        )
        return run._replace(basis=None), end_vector(run, "highest")


def _is_idle(step: InnerStep) -> Bool[Array, ""]:
    return step.is_clipping_idle


def _paper_step(hessian: HessianSpectrum, lowest: Float[Array, " d"]) -> _Measured | None:
    """The norm of I - alpha H, which is symmetric: its spectral radius, if there is an alpha."""
    shift = hessian.shifted
    if shift is None:
        return None
    norm = NormMinusOne(
        shift.spectral_radius_minus_one, shift.spectral_radius_minus_one_error, shift.exceeds_one
    )
    return _Measured(ProductNorm(norm, 0, hessian.ends.converged), lowest)


def _product_norm(run: RitzValues) -> ProductNorm:
    return ProductNorm(norm_minus_one(extremes([run])), run.matvecs, run.converged)


def _without_copies(names: tuple[str, ...], idle: bool) -> tuple[str, ...]:
    """The operators to compute: where it is the preconditioned one, the update is not repeated."""
    if idle and {"preconditioned", "update"} <= set(names):
        return tuple(name for name in names if name != "update")
    return names


def _with_copies(made: dict[str, list], names: tuple[str, ...], progress: Progress):
    """Results under every name that was asked for."""
    for name in [name for name in names if name not in made]:
        made[name] = made["preconditioned"]
        for _ in made[name]:
            progress()
    return {name: made[name] for name in names}


def _dense_hessian(steps: InnerStep, j: Int[Array, ""]) -> Float[Array, "d d"]:
    return dense_matrix(step_at(steps, j).hessian)


def _start(key: Key[Array, ""], warm: Float[Array, " d"]) -> Float[Array, " d"]:
    """A random direction, and as much of a warm start, if there is one.

    A run that failed leaves none: its Ritz vector is not finite.
    """
    random = jax.random.normal(key, warm.shape, warm.dtype)
    there = jnp.all(jnp.isfinite(warm))
    return random / jnp.linalg.norm(random) + jnp.where(there, warm, 0)
