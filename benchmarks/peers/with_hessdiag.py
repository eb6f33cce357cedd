"""hessdiag itself, asked as the others are."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.interface import Asked, Found, Measure
from benchmarks.peers.target import Target, random_vector
from hessdiag import spectra
from hessdiag.api.measurement import CHECK_EVERY
from hessdiag.spectra.driven import DrivenLanczos
from hessdiag.spectra.eigenpairs import eigenpairs
from hessdiag.spectra.intervals import student

LARGEST_BASIS = 96  # of the run for both ends, which stops by itself long before

MOST_MATVECS = 2000  # of the restarted run, which stops by itself, too


class Peer:
    """`lanczos` for both ends and the density, `eigenpairs` for the top, as `hessdiag.spectrum`.

    LAPACK has one thread, as there.
    """

    def __init__(self, target: Target, seed: int = 0):
        self.target, self.seed = target, seed
        self._one, self._ends, self._many, self._trace = _programs(target.operator)

    @spectra.one_lapack_thread
    def extremes(self, asked: Asked) -> Found:
        """One run from one random start, which stops by itself."""
        start = random_vector(self.target, self.seed)
        tolerance = asked.tolerance or 0.0
        made = self._one(self.target.data, start, tolerance, max_matvecs=LARGEST_BASIS)
        run = spectra.ritz_values(made)
        ends = spectra.extremes([run])
        return Found(
            values=np.array([ends.lowest, ends.highest]),
            matvecs=run.matvecs,
            errors=np.array([ends.lowest_error, ends.highest_error]),
            flagged=not run.converged,
        )

    @spectra.one_lapack_thread
    def driven_extremes(self, asked: Asked) -> Found:
        """The same driven from the host, as `hessdiag.spectrum` does where products are large."""
        start = np.asarray(random_vector(self.target, self.seed))
        run = DrivenLanczos(self.target.matvec, start, random=np.random.default_rng(0))
        tolerance = asked.tolerance or 0.0
        while run.grows and run.active < LARGEST_BASIS:
            run.step()
            if run.active % CHECK_EVERY == 0 and run.has_converged(tolerance):
                break
        ends = spectra.extremes([spectra.ritz_values(run.decomposition(tolerance))])
        return Found(
            values=np.array([ends.lowest, ends.highest]),
            matvecs=ends.matvecs,
            errors=np.array([ends.lowest_error, ends.highest_error]),
            flagged=not ends.converged,
        )

    def resolved_extremes(self, asked: Asked) -> Found:
        """The same with the vectors of the ends, which `extremes` has no need of."""
        found = self.extremes(asked)
        start = random_vector(self.target, self.seed)
        vectors = self._ends(self.target.data, start, asked.tolerance, max_matvecs=LARGEST_BASIS)
        return found._replace(vectors=np.asarray(vectors))

    def top(self, num: int, asked: Asked) -> Found:
        """One run that stops by itself."""
        return self.capped_top(num, MOST_MATVECS, asked.tolerance)

    @spectra.one_lapack_thread
    def capped_top(self, num: int, depth: int, tolerance: float | None = None) -> Found:
        """At most about `depth` products."""
        found = eigenpairs(
            self.target.matvec,
            random_vector(self.target, self.seed),
            num=num,
            max_matvecs=depth,
            tolerance=tolerance or 1e-5,
        )
        return Found(
            values=found.values,
            matvecs=found.matvecs,
            vectors=found.vectors,
            errors=found.errors,
            flagged=not bool(found.converged.all()),
        )

    def ritz(self, depth: int) -> Found:
        """Every value of one Lanczos run."""
        start = random_vector(self.target, self.seed)
        made = self._one(self.target.data, start, 0.0, max_matvecs=depth)
        run = spectra.ritz_values(made)
        return Found(run.values, run.matvecs, errors=run.errors)

    def trace(self, products: int) -> tuple[float, float]:
        """`sketched_trace` with the standard error that its interval is of."""
        key = jax.random.key(self.seed)
        made = self._trace(self.target.data, key, max_matvecs=products)
        return float(made.estimate), float(made.half_width / student(1.0, np.inf))

    @spectra.one_lapack_thread
    def density(self, probes: int, steps: int) -> Measure:
        """One compiled loop over the starts: batches of products are slower on CPUs."""
        starts = jnp.stack([random_vector(self.target, self.seed + i) for i in range(probes)])
        made = self._many(self.target.data, starts, 0.0, max_matvecs=steps)
        runs = spectra.ritz_values_per_start(made)
        return Measure(
            nodes=np.concatenate([run.values for run in runs]),
            weights=np.concatenate([run.weights for run in runs]) / probes,
            matvecs=sum(run.matvecs for run in runs),
        )


@functools.cache
def _programs(build: Callable[[Any], spectra.Operator]):
    """One run, its end vectors, many runs, the trace: compiled once for all data of one shape."""

    def one(data, start, tolerance, *, max_matvecs: int):
        return spectra.lanczos(build(data), start, max_matvecs=max_matvecs, tolerance=tolerance)

    def ends(data, start, tolerance, *, max_matvecs: int):
        made = spectra.lanczos(
            build(data), start, max_matvecs=max_matvecs, tolerance=tolerance, keep_basis=True
        )
        return jnp.stack([spectra.end_vector(made, end) for end in ("lowest", "highest")])

    def many(data, starts, tolerance, *, max_matvecs: int):
        operator = build(data)
        options = {"max_matvecs": max_matvecs, "tolerance": tolerance}
        return jax.lax.map(lambda start: spectra.lanczos(operator, start, **options), starts)

    def trace(data, key, *, max_matvecs: int):
        return spectra.sketched_trace(build(data), key, num_matvecs=max_matvecs)

    return [jax.jit(made, static_argnames="max_matvecs") for made in (one, ends, many, trace)]
