"""Spectra of every operator along an inner loop, from programs that are compiled once.

The inner steps are linearised together, once, and everything else replays those linearisations:
one compiled program per operator serves all inner steps, inner loops and products of any length.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from hessdiag.spectra.arnoldi import arnoldi, outermost_vector
from hessdiag.spectra.balancing import balanced, balancing_scale
from hessdiag.spectra.checks import require_symmetric, symmetry_defect
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
from hessdiag.spectra.lanczos import highest_vector, lanczos
from hessdiag.spectra.normality import (
    NormMinusOne,
    departure_from_normality,
    gram_minus_identity,
    norm_minus_one,
)
from hessdiag.spectra.ritz import (
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

_SWEEPS = 4  # of balancing; each costs a product and a transposed one

Progress = Callable[[], None]


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
        self._same = jax.jit(_clipping_is_idle)
        self._hessian = jax.jit(self._decompose_hessian)
        self._dense_hessian = jax.jit(_dense_hessian)
        self._scales = jax.jit(_balancing_scales, static_argnames="names")
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
        hessians = []
        for j in range(n):
            hessians.append(self._one_hessian(steps, j, jax.random.fold_in(hessian_key, j)))
            progress()
        idle = bool(self._others) and bool(self._same(steps))
        return InnerLoopSpectra(
            hessians=hessians,
            operators=self._all_operators(steps, n, operator_key, idle, progress),
            products=self._all_products(steps, n, product_key, idle, progress),
        )

    def _one_hessian(self, steps: InnerStep, j: int, key: Key[Array, ""]) -> HessianSpectrum:
        if steps.params.size <= DENSE_LIMIT:
            defect, matrix = self._dense_hessian(steps, j, key)
            require_symmetric(defect, matrix.dtype)
            runs = [matrix_spectrum(np.asarray(matrix))]
        else:
            defect, decompositions = self._hessian(steps, j, key)
            require_symmetric(defect, decompositions.alpha.dtype)
            runs = ritz_values_per_start(decompositions)
        alpha = None if steps.learning_rate is None else float(steps.learning_rate[j])
        ends = extremes(runs)
        return HessianSpectrum(
            runs=runs,
            ends=ends,
            symmetry_defect=float(defect),
            size=steps.params.size,
            alpha=alpha,
            shifted=None if alpha is None else shifted(ends, alpha),
            masses=None if alpha is None else mass_split(runs, alpha),
        )

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
        self, steps: InnerStep, n: int, key: Key[Array, ""], idle: bool, progress: Progress
    ) -> dict[str, list[ProductNorm]]:
        if not self._settings.products:
            return {}
        paper = ("paper",) if steps.learning_rate is not None else ()
        names = paper + self._others
        made: dict[str, list[ProductNorm]] = {}
        for index, name in enumerate(_without_copies(names, idle)):
            own_key = jax.random.fold_in(key, index)
            made[name] = list(self._norms(steps, n, name, own_key, progress))
        return _with_copies(made, names, progress)

    def _norms(
        self, steps: InnerStep, n: int, name: str, key: Key[Array, ""], progress: Progress
    ) -> Iterator[ProductNorm]:
        """|P_1| .. |P_n|, each started from the last one's singular vector."""
        yield ProductNorm(NormMinusOne(0.0, 0.0, "no"), 0, True)
        progress()
        warm = jnp.zeros_like(steps.gradient[0])
        for i in range(2, n + 1):
            decomposition, warm = self._norm(
                steps, n - i + 1, jax.random.fold_in(key, i), warm, name=name
            )
            run = ritz_values(decomposition)
            yield ProductNorm(norm_minus_one(extremes([run])), run.matvecs, run.converged)
            progress()

    def _decompose_hessian(self, steps: InnerStep, j: Int[Array, ""], key: Key[Array, ""]):
        operator, settings = step_at(steps, j).hessian, self._settings
        check_key, start_key = jax.random.split(key)
        starts = jax.random.normal(start_key, (settings.starts, operator.size), operator.dtype)
        decompose = partial(
            lanczos,
            operator,
            max_matvecs=settings.max_matvecs,
            tolerance=settings.tolerance,
            min_matvecs=settings.min_matvecs,
            check_every=2,
        )
        return symmetry_defect(operator, check_key), jax.lax.map(decompose, starts)

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
            check_every=2,
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
            check_every=1,  # a product with the Gram operator is dear, and a warm start is near
            keep_basis=True,
        )
        return run._replace(basis=None), highest_vector(run)


def _balancing_scales(steps: InnerStep, key: Key[Array, ""], *, names: tuple[str, ...]):
    """For each operator, a diagonal per inner step that makes it nearly balanced.

    The augmented operator is balanced by products, the others have the closed form.
    """
    responses = jax.lax.map(lambda step: step.response_scale, steps)
    scales = {name: responses for name in names if name != "augmented"}
    if "semi-gradient" in names:
        scales["semi-gradient"] = jnp.ones_like(responses)
    if "augmented" in names:
        keys = jax.random.split(key, len(steps.gradient))
        scales["augmented"] = jax.lax.map(_augmented_scale, (steps, keys))
    return scales


def _augmented_scale(step_and_key: tuple[InnerStep, Key[Array, ""]]) -> Float[Array, " k"]:
    step, key = step_and_key
    memory = jnp.ones(step.memory.size, step.memory.dtype)
    known = jnp.concatenate([step.response_scale, memory])
    return known * balancing_scale(balanced(step.augmented, known), key, sweeps=_SWEEPS)


def _clipping_is_idle(steps: InnerStep):
    """Whether the update and the preconditioned operator are one, at every inner step.

    They differ where clipping is active and where the update depends on the parameters themselves,
    as with weight decay. One random product tells.
    """

    def same(step: InnerStep):
        v = jax.random.normal(jax.random.key(0), step.gradient.shape, step.gradient.dtype)
        update, preconditioned = step.update.minus_identity, step.preconditioned.minus_identity
        assert update is not None
        assert preconditioned is not None
        return jnp.array_equal(update.product(v), preconditioned.product(v))

    return jnp.all(jax.lax.map(same, steps))


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


def _dense_hessian(steps: InnerStep, j: Int[Array, ""], key: Key[Array, ""]):
    operator = step_at(steps, j).hessian
    return symmetry_defect(operator, key), dense_matrix(operator)


def _start(key: Key[Array, ""], warm: Float[Array, " d"]) -> Float[Array, " d"]:
    """A random direction, and as much of a warm start, if there is one.

    A run that failed leaves none: its Ritz vector is not finite.
    """
    random = jax.random.normal(key, warm.shape, warm.dtype)
    there = jnp.all(jnp.isfinite(warm))
    return random / jnp.linalg.norm(random) + jnp.where(there, warm, 0)
