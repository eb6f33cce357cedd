"""Norms of the products P_i over the last inner steps, and of the paths G from inner gradients.

A term of eq. 11 is T P_i N_i with N_i the derivative of (theta, s) in eta: the optimiser's response
to the inner gradient g, times dg/d eta. The response taken into P_i leaves G = d theta^(n) / d g,
whose norm no unit of the optimiser's memory enters; under gradient descent it is -alpha P_i. Under
Adam the norm is that of the parameters with the smallest gradients, alpha (1 - beta_1) / eps and
more for those of dead units, though no term uses them: it is the most that G does to anything.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from hessdiag import spectra
from hessdiag.inner.products import product_over_steps, step_at
from hessdiag.inner.step import InnerStep
from hessdiag.meta import streams
from hessdiag.probes.inner_loop.measured import HessianSpectrum, PathNorm, ProductNorm
from hessdiag.probes.inner_loop.radii import warm_start
from hessdiag.probes.inner_loop.settings import InnerLoopSettings, Progress
from hessdiag.spectra import LanczosDecomposition, Operator
from hessdiag.spectra.gram import NormMinusOne


class Measured(NamedTuple):
    """The norm of a product, and where to start a similar run: near its right singular vector."""

    norm: ProductNorm
    vector: Float[Array, " d"]


def of_one_step(hessian: HessianSpectrum, lowest: Float[Array, " d"]) -> Measured | None:
    """The norm of I - alpha H, which is symmetric: its spectral radius, if there is an alpha.

    What it stretches most, if alpha is no more than the curvature bears, is the Hessian's lowest.
    """
    shift = hessian.shifted
    if shift is None:
        return None
    norm = NormMinusOne(
        shift.spectral_radius_minus_one, shift.spectral_radius_minus_one_error, shift.exceeds_one
    )
    return Measured(ProductNorm(norm, 0, hessian.ends.converged), lowest)


def gradient_path(steps: InnerStep, j: Int[Array, ""] | int) -> Operator:
    """G of stacked steps, with memory and clipping; works under jit, with any j."""
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

    def paths(self, steps: InnerStep, key: Key[Array, ""], progress: Progress) -> list[PathNorm]:
        """The norm of G for every inner step, the oldest first; progress is called after each."""
        norms = []
        for j in range(len(steps.gradient)):
            decomposition = self._of_path(steps, j, streams.numbered(key, j))
            run = spectra.ritz_values(decomposition, rounds=np.inf)  # whatever the memory's units
            norm = spectra.operator_norm(spectra.extremes([run]))
            norms.append(PathNorm(*norm, run.matvecs, run.converged))
            progress()
        return norms

    def products(
        self,
        steps: InnerStep,
        names: tuple[str, ...],
        key: Key[Array, ""],
        paper: Measured | None,
        update: str,
        progress: Progress,
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
        self, steps: InnerStep, name: str, key, one_step: Measured | None, progress: Progress
    ) -> Iterator[Measured]:
        """Each started from the last one's singular vector; that of one step may be known."""
        n = len(steps.gradient)
        nothing = ProductNorm(NormMinusOne(0.0, 0.0, "no"), 0, True)
        measured = Measured(nothing, jnp.zeros_like(steps.gradient[0]))
        for i in range(1, n + 1):
            if i == 2 and one_step is not None:
                measured = one_step
            elif i > 1:
                measured = self._twice(steps, name, key, i, measured.vector)
            yield measured
            progress()

    def _twice(self, steps: InnerStep, name: str, key, i: int, warm) -> Measured:
        """P_i; a norm that may be no more than one is measured again, from a random start alone."""
        n = len(steps.gradient)

        def run(number: int, warm):
            return self._of_product(
                steps, n - i + 1, streams.numbered(key, number), warm, name=name
            )

        first, vector = run(i, warm)
        norm = _norm_of([first])
        if norm.converged and norm.norm.minus_one <= norm.norm.error:
            norm = _norm_of([first, run(n + i, jnp.zeros_like(warm))[0]])
        return Measured(norm, vector)

    def _product_decomposed(self, steps: InnerStep, first, key, warm, *, name: str):
        square = spectra.gram_minus_identity(product_over_steps(steps, first, name))
        run = self._decomposed(square, warm_start(key, warm))
        return run._replace(basis=None), spectra.end_vector(run, "highest")

    def _path_decomposed(self, steps: InnerStep, j, key) -> LanczosDecomposition:
        start = jax.random.normal(key, steps.gradient[0].shape, steps.gradient.dtype)
        return self._decomposed(spectra.gram(gradient_path(steps, j)), start)._replace(basis=None)

    def _decomposed(self, square: Operator, start) -> LanczosDecomposition:
        return spectra.lanczos(square, start, ends="highest", **self._settings.krylov)


def _norm_of(decompositions: list[LanczosDecomposition]) -> ProductNorm:
    """The norm of runs on A'A - I; NaN where it cannot be had, which spoils no other."""
    try:
        runs = [spectra.ritz_values(run, rounds=1.0) for run in decompositions]
    except (spectra.NonSymmetricOperatorError, spectra.NoisyOperatorError):
        nothing = NormMinusOne(np.nan, np.nan, "undecided")
        return ProductNorm(nothing, sum(int(run.active) for run in decompositions), False)
    ends = spectra.extremes(runs)
    return ProductNorm(spectra.norm_minus_one(ends), ends.matvecs, ends.converged)
