"""Norms of the products P_i over the last inner steps, and of the paths from inner gradients.

On the augmented state a term of eq. 11 is T P_i N_i with N_i the derivative of (theta, s) in eta.
N_i splits into the derivative of the inner gradient g in eta and the optimiser's response to g, and
the response taken into P_i leaves the path G = d theta^(n) / d g^(j): no unit of the optimiser's
memory enters its norm. Under gradient descent G is -alpha P_i, and all is as eq. 11 is printed.

Under Adam the norm is that of the parameters with the smallest gradients, alpha (1 - beta_1) / eps
and more for those of dead units, though no term uses them: it is the most that G does to anything.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from hessdiag.inner.products import product_over_steps, step_at
from hessdiag.inner.step import InnerStep
from hessdiag.meta import streams
from hessdiag.probes.inner_loop.measured import HessianSpectrum, PathNorm, ProductNorm
from hessdiag.probes.inner_loop.radii import warm_start
from hessdiag.probes.inner_loop.settings import InnerLoopSettings
from hessdiag.spectra.checks import NonSymmetricOperatorError
from hessdiag.spectra.gram import (
    NormMinusOne,
    gram,
    gram_minus_identity,
    norm_minus_one,
    operator_norm,
)
from hessdiag.spectra.lanczos import LanczosDecomposition, end_vector, lanczos
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.ritz import extremes, ritz_values


class Measured(NamedTuple):
    """The norm of a product, and where to start a similar run: near its right singular vector."""

    norm: ProductNorm
    vector: Float[Array, " d"]


def of_one_step(hessian: HessianSpectrum, lowest: Float[Array, " d"]) -> Measured | None:
    """The norm of I - alpha H, which is symmetric: its spectral radius, if there is an alpha.

    Args:
        hessian: Of the step.
        lowest: Its lowest Ritz vector: what I - alpha H stretches most, where it stretches at all
            and alpha is no more than the curvature bears.
    """
    shift = hessian.shifted
    if shift is None:
        return None
    norm = NormMinusOne(
        shift.spectral_radius_minus_one, shift.spectral_radius_minus_one_error, shift.exceeds_one
    )
    return Measured(ProductNorm(norm, 0, hessian.ends.converged), lowest)


def gradient_path(steps: InnerStep, j: Int[Array, ""] | int) -> Operator:
    """G of stacked steps, from changes of g^(j) to changes of theta^(n); memory and clipping count.

    Works under jit, with any j.
    """
    n, size = len(steps.gradient), steps.params.size

    def forward(v):
        start = step_at(steps, j).response.product(v)
        after = jax.lax.fori_loop(
            j + 1, n, lambda k, x: step_at(steps, k).augmented.product(x), start
        )
        return after[:size]

    def backward(u):
        end = jnp.zeros(size + steps.memory.size, u.dtype).at[:size].set(u)
        before = jax.lax.fori_loop(
            j + 1, n, lambda k, y: step_at(steps, n + j - k).augmented.T.product(y), end
        )
        return step_at(steps, j).response.T.product(before)

    return Operator(forward, backward, steps.params, steps.params)


class Norms:
    """Measures norms; a program per operator serves products of any length, one all paths."""

    def __init__(self, settings: InnerLoopSettings):
        self._settings = settings
        self._of_product = jax.jit(self._product_decomposed, static_argnames="name")
        self._of_path = jax.jit(self._path_decomposed)

    def paths(
        self, steps: InnerStep, key: Key[Array, ""], progress: Callable[[], None]
    ) -> list[PathNorm]:
        """The norm of G for every inner step, the oldest first; progress is called after each."""
        norms = []
        for j in range(len(steps.gradient)):
            decomposition = self._of_path(steps, j, streams.numbered(key, j))
            run = ritz_values(decomposition, rounds=np.inf)  # whatever the memory's units are
            norms.append(PathNorm(*operator_norm(extremes([run])), run.matvecs, run.converged))
            progress()
        return norms

    def products(
        self,
        steps: InnerStep,
        names: tuple[str, ...],
        key: Key[Array, ""],
        paper: Measured | None,
        update: str,
        progress: Callable[[], None],
    ) -> dict[str, list[ProductNorm]]:
        """The norms of P_1 .. P_n by operator.

        A norm that two operators share is measured once: that of one augmented step, through a
        memory that starts at zero and is not looked at in the end, is the update's.

        Args:
            steps: Linearised inner steps, stacked.
            names: Of operators.
            key: Randomness of start vectors.
            paper: The last step's I - alpha H.
            update: The name that the update goes by: "preconditioned" where the two are one.
            progress: Called after each norm.
        """
        known = {} if paper is None else {"paper": paper}
        norms: dict[str, list[ProductNorm]] = {}
        for index, name in enumerate(names):
            own_key = streams.numbered(key, index)
            measured = list(self._along(steps, name, own_key, known.get(name), progress))
            norms[name] = [norm for norm, _ in measured]
            if len(measured) > 1 and name == update:
                norm = dataclasses.replace(measured[1].norm, matvecs=0)
                known["augmented"] = measured[1]._replace(norm=norm)
        return norms

    def _along(
        self, steps: InnerStep, name: str, key, one_step: Measured | None, progress
    ) -> Iterator[Measured]:
        """Each started from the last one's singular vector; that of one step may be known."""
        n = len(steps.gradient)
        nothing = ProductNorm(NormMinusOne(0.0, 0.0, "no"), 0, True)
        measured = Measured(nothing, jnp.zeros_like(steps.gradient[0]))
        for i in range(1, n + 1):
            if i == 2 and one_step is not None:
                measured = one_step
            elif i > 1:
                decomposition, vector = self._of_product(
                    steps, n - i + 1, streams.numbered(key, i), measured.vector, name=name
                )
                measured = Measured(_norm_of(decomposition), vector)
            yield measured
            progress()

    def _product_decomposed(self, steps: InnerStep, first, key, warm, *, name: str):
        square = gram_minus_identity(product_over_steps(steps, first, name))
        run = self._decomposed(square, warm_start(key, warm), keep_basis=True)
        return run._replace(basis=None), end_vector(run, "highest")

    def _path_decomposed(self, steps: InnerStep, j, key) -> LanczosDecomposition:
        start = jax.random.normal(key, steps.gradient[0].shape, steps.gradient.dtype)
        return self._decomposed(gram(gradient_path(steps, j)), start)

    def _decomposed(self, square: Operator, start, **options) -> LanczosDecomposition:
        return lanczos(
            square,
            start,
            max_matvecs=self._settings.max_matvecs,
            tolerance=self._settings.tolerance,
            ends="highest",
            check_every=1,
            **options,
        )


def _norm_of(decomposition: LanczosDecomposition) -> ProductNorm:
    """The norm of a run on A'A - I; NaN where it cannot be had, which spoils no other."""
    try:
        run = ritz_values(decomposition, rounds=1.0)
    except NonSymmetricOperatorError:
        nothing = NormMinusOne(np.nan, np.nan, "undecided")
        return ProductNorm(nothing, int(decomposition.active), False)
    return ProductNorm(norm_minus_one(extremes([run])), run.matvecs, run.converged)
