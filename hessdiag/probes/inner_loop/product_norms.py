"""Norms of the products P_i over the last inner steps."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from hessdiag.inner.products import product_over_steps
from hessdiag.inner.step import InnerStep
from hessdiag.meta import streams
from hessdiag.probes.inner_loop.measured import HessianSpectrum, ProductNorm
from hessdiag.probes.inner_loop.settings import InnerLoopSettings
from hessdiag.probes.inner_loop.warm_start import warm_start
from hessdiag.spectra.checks import NonSymmetricOperatorError
from hessdiag.spectra.gram import NormMinusOne, gram_minus_identity, norm_minus_one
from hessdiag.spectra.lanczos import LanczosDecomposition, end_vector, lanczos
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


def _norm_of(decomposition: LanczosDecomposition) -> ProductNorm:
    """The norm of a run on A'A - I; NaN where it cannot be had, which spoils no other."""
    try:
        run = ritz_values(decomposition, rounds=1.0)
    except NonSymmetricOperatorError:
        nothing = NormMinusOne(np.nan, np.nan, "undecided")
        return ProductNorm(nothing, int(decomposition.active), False)
    return ProductNorm(norm_minus_one(extremes([run])), run.matvecs, run.converged)


class ProductNorms:
    """Measures norms; a program per operator serves products of any length."""

    def __init__(self, settings: InnerLoopSettings):
        self._settings = settings
        self._decompose = jax.jit(self._decomposed, static_argnames="name")

    def measure(
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
        made: dict[str, list[ProductNorm]] = {}
        for index, name in enumerate(names):
            own_key = streams.numbered(key, index)
            measured = list(self._along(steps, name, own_key, known.get(name), progress))
            made[name] = [norm for norm, _ in measured]
            if len(measured) > 1 and name == update:
                norm = dataclasses.replace(measured[1].norm, matvecs=0)
                known["augmented"] = measured[1]._replace(norm=norm)
        return made

    def _along(
        self,
        steps: InnerStep,
        name: str,
        key: Key[Array, ""],
        one_step: Measured | None,
        progress: Callable[[], None],
    ) -> Iterator[Measured]:
        """Each started from the last one's singular vector; that of one step may be known."""
        n = len(steps.gradient)
        nothing = ProductNorm(NormMinusOne(0.0, 0.0, "no"), 0, True)
        measured = Measured(nothing, jnp.zeros_like(steps.gradient[0]))
        for i in range(1, n + 1):
            if i == 2 and one_step is not None:
                measured = one_step
            elif i > 1:
                own_key = streams.numbered(key, i)
                decomposition, vector = self._decompose(
                    steps, n - i + 1, own_key, measured.vector, name=name
                )
                measured = Measured(_norm_of(decomposition), vector)
            yield measured
            progress()

    def _decomposed(
        self, steps: InnerStep, first: Int[Array, ""], key: Key[Array, ""], warm, *, name: str
    ):
        run = lanczos(
            gram_minus_identity(product_over_steps(steps, first, name)),
            warm_start(key, warm),
            max_matvecs=self._settings.max_matvecs,
            tolerance=self._settings.tolerance,
            ends="highest",
            check_every=1,
            keep_basis=True,
        )
        return run._replace(basis=None), end_vector(run, "highest")
