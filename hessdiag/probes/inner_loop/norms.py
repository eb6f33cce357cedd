"""Norms of the products P_i over the last inner steps, and of the paths G from inner gradients.

A term of eq. 11 is T P_i N_i with N_i the derivative of (theta, s) in eta: the optimiser's response
to the inner gradient g, times dg/d eta. The response taken into P_i leaves G = d theta^(n) / d g,
whose norm no unit of the optimiser's memory enters; under gradient descent it is -alpha P_i. Under
Adam the norm is that of the parameters with the smallest gradients, alpha (1 - beta_1) / eps and
more for those of dead units, though no term uses them: it is the most that G does to anything.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered
from jaxtyping import Array, Float, Int, Key

from hessdiag import spectra
from hessdiag.inner.products import product_over_steps, step_at
from hessdiag.inner.step import InnerStep
from hessdiag.meta import streams
from hessdiag.probes.inner_loop.measured import HessianSpectrum, PathNorm, ProductNorm
from hessdiag.probes.inner_loop.radii import warm_start
from hessdiag.probes.inner_loop.settings import InnerLoopSettings, Progress
from hessdiag.spectra import LanczosDecomposition, Operator, RitzValues
from hessdiag.spectra.gram import NormMinusOne, with_noise


class NormRuns(NamedTuple):
    """Runs on P'P - I of one product, and its right singular vector, to start a similar run."""

    starts: tuple[RitzValues, ...]  # a second one where the first may say "no"
    vector: Float[Array, " d"]
    known: ProductNorm | None = None  # the norm, where it is known without runs
    is_shared: bool = False  # the runs are another operator's, which has counted their products

    def norm(self, noise: float) -> ProductNorm:
        """What they say, where products of the vector were seen to be off by the noise."""
        if self.known is not None:
            return self.known
        runs = [with_noise(run, noise) for run in self.starts]
        ends = spectra.extremes(runs)
        spent = 0 if self.is_shared else ends.matvecs
        return ProductNorm(spectra.norm_minus_one(ends), spent, ends.converged)


class PathRun(NamedTuple):
    """A run on G'G, and G's right singular vector."""

    run: RitzValues
    vector: Float[Array, " d"]

    def norm(self, noise: float) -> PathNorm:
        """What it says, where the product of the vector was seen to be off by the noise."""
        value, error = spectra.operator_norm(spectra.extremes([self.run]))
        return PathNorm(value, error + noise, self.run.matvecs, self.run.converged)


def of_one_step(hessian: HessianSpectrum, lowest: Float[Array, " d"]) -> NormRuns | None:
    """The norm of I - alpha H, which is symmetric: its spectral radius, if there is an alpha.

    What it stretches most, if alpha is no more than the curvature bears, is the Hessian's lowest.
    """
    shift = hessian.shifted
    if shift is None:
        return None
    norm = NormMinusOne(
        shift.spectral_radius_minus_one, shift.spectral_radius_minus_one_error, shift.exceeds_one
    )
    return NormRuns((), lowest, ProductNorm(norm, 0, hessian.ends.converged))


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

    def lowered(
        self, steps: InnerStep, names: tuple[str, ...], key: Key[Array, ""]
    ) -> Iterator[Lowered]:
        """What `products` will run, to be compiled."""
        for name in names:
            yield self._of_product.lower(steps, 0, key, steps.gradient[0], name=name)

    def paths(self, steps: InnerStep, key: Key[Array, ""], progress: Progress) -> list[PathRun]:
        """A run on G of every inner step, the oldest first; progress is called after each."""
        made = []
        for j in range(len(steps.gradient)):
            decomposition, vector = self._of_path(steps, j, streams.numbered(key, j))
            run = spectra.ritz_values(decomposition, rounds=np.inf)  # whatever the memory's units
            made.append(PathRun(run, vector))
            progress()
        return made

    def products(
        self,
        steps: InnerStep,
        names: tuple[str, ...],
        key: Key[Array, ""],
        paper: NormRuns | None,
        update: str,
        progress: Progress,
    ) -> dict[str, list[NormRuns]]:
        """Runs on the products P_1 .. P_n by operator.

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
        found: dict[str, list[NormRuns]] = {}
        for index, name in enumerate(names):
            own_key = streams.numbered(key, index)
            found[name] = list(self._along(steps, name, own_key, known.get(name), progress))
            if len(found[name]) > 1 and name == update:
                known["augmented"] = found[name][1]._replace(is_shared=True)
        return found

    def _along(
        self, steps: InnerStep, name: str, key, one_step: NormRuns | None, progress: Progress
    ) -> Iterator[NormRuns]:
        """Each started from the last one's singular vector; that of one step may be known."""
        n, random = len(steps.gradient), jnp.zeros_like(steps.gradient[0])
        identity = ProductNorm(NormMinusOne(0.0, 0.0, "no"), 0, True)
        runs = NormRuns((), random, identity)
        for i in range(1, n + 1):
            if i == 2 and one_step is not None:
                runs = one_step
            elif i > 1:
                own_key, first = streams.numbered(key, i), n - i + 1
                run, vector = self._run(steps, first, own_key, runs.vector, name)
                runs = NormRuns((run,), vector)
                twice = spectra.norm_minus_one(spectra.extremes([run, run]))
                if twice.exceeds_one == "no":  # but for an independent start
                    again, _ = self._run(steps, first, streams.numbered(own_key, 1), random, name)
                    runs = runs._replace(starts=(run, again))
            yield runs
            progress()

    def _run(self, steps: InnerStep, first: int, key, warm, name: str):
        """One run; what its asymmetry leaves open is in its errors: a product may well cancel."""
        decomposition, vector = self._of_product(steps, first, key, warm, name=name)
        return spectra.ritz_values(decomposition, rounds=np.inf), vector

    def _product_decomposed(self, steps: InnerStep, first, key, warm, *, name: str):
        square = spectra.gram_minus_identity(product_over_steps(steps, first, name))
        run = self._decomposed(square, warm_start(key, warm))
        return run._replace(basis=None), spectra.end_vector(run, "highest")

    def _path_decomposed(self, steps: InnerStep, j, key):
        start = jax.random.normal(key, steps.gradient[0].shape, steps.gradient.dtype)
        run = self._decomposed(spectra.gram(gradient_path(steps, j)), start)
        return run._replace(basis=None), spectra.end_vector(run, "highest")

    def _decomposed(self, square: Operator, start) -> LanczosDecomposition:
        return spectra.lanczos(square, start, ends="highest", **self._settings.krylov)
