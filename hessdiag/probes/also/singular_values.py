"""The singular values of a whole unroll: how many directions grow, and whether T lies in them.

P is the product of an operator over all inner steps. A direction that P stretches is a right
singular vector whose singular value is above one; the meta-gradient reads T' P, and so sees what T
has of the left ones. The largest singular value says how much some direction grows; this says how
many do, and whether anything looks there.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag import spectra
from hessdiag.inner import InnerStep, linearised_step
from hessdiag.inner.products import product_over_steps
from hessdiag.meta import Validation, sources, streams, unroll
from hessdiag.probes.also.base import Values
from hessdiag.probes.chunks import Progress, Tell
from hessdiag.probes.inner_loop.hessians import symmetric_runs
from hessdiag.probes.measured import Measured
from hessdiag.spectra import LanczosDecomposition, RitzValues
from hessdiag.spectra.quadrature import cumulative_bounds

EPS = 0.01  # a singular value within this of one is neither growth nor decay
PRODUCTS = 16  # with P'P, and with PP', at the most: each costs two Hessian products per inner step
OPERATORS = ("paper", "preconditioned", "augmented")
"""Whose products: the published one, the optimiser's without its memory, and the exact one."""

GROWING, SHRINKING = (1 + EPS) ** 2 - 1, (1 - EPS) ** 2 - 1  # of sigma^2 - 1
_MASSES = {
    "growing": (GROWING, np.inf),
    "kept": (SHRINKING, GROWING),
    "shrinking": (-np.inf, SHRINKING),
}


class Singular(NamedTuple):
    """What is known of one product."""

    random: RitzValues  # of P'P - I, from a random start: all eigenvalues weigh the same
    outer: RitzValues  # of PP' - I, from T: weights are what T has of the eigenvectors
    stretch: float  # |P'T| / |T|; NaN where T is zero


class SingularValues:
    """Measures the products of the unrolls whose operators are measured."""

    def __init__(self, measured: Measured):
        settings = measured.settings
        self._measured = measured
        has_rate = measured.system.update.learning_rate is not None
        self._names = OPERATORS if has_rate else OPERATORS[1:]
        self._unrolls = min(settings.operator_unrolls, settings.unrolls)
        self._linearise = jax.jit(measured.precisely(self._linearised))
        self._decompose = jax.jit(self._decomposed, static_argnames="name")
        self._dense = jax.jit(_dense, static_argnames="name")
        self.units = self._unrolls * len(self._names)
        self.coords: Mapping[str, Any] = {"singular_operator": list(self._names)}
        self.programs: list[tuple[Any, int]] = []  # none needs more than those of all spectra

    def lowered(self, state: Any, keys: PRNGKeyArray, key: PRNGKeyArray) -> Iterator[Lowered]:
        """What `measure` will run, to be compiled."""
        if not self._unrolls:
            return
        yield self._linearise.lower(state, keys[0])
        steps, outer = jax.eval_shape(self._linearise, state, keys[0])
        for name in self._names:
            if steps.params.size <= spectra.DENSE_LIMIT:
                yield self._dense.lower(steps, name=name)
            else:
                yield self._decompose.lower(steps, outer, key, name=name)

    def measure(
        self, state: Any, keys: PRNGKeyArray, key: PRNGKeyArray, *, progress: Progress, tell: Tell
    ) -> Values:
        """Its variables, (operator_unroll, singular_operator); none where there are no unrolls."""
        del tell
        found = []
        for k in range(self._unrolls):
            steps, outer = self._linearise(state, keys[k])
            for index, name in enumerate(self._names):
                own_key = streams.numbered(streams.numbered(key, k), index)
                found.append(self.of_product(steps, outer, own_key, name))
                progress(1)
        return _variables(found, len(self._names)) if found else {}

    def of_product(
        self, steps: InnerStep, outer: Float[Array, " d"], key: PRNGKeyArray, name: str
    ) -> Singular:
        """Of an operator's product over stacked steps, and T; exact for few parameters."""
        if steps.params.size <= spectra.DENSE_LIMIT:
            return _of_matrix(np.asarray(self._dense(steps, name=name)), np.asarray(outer))
        random, from_outer, stretch = jax.device_get(self._decompose(steps, outer, key, name=name))
        (of_random,), (of_outer,) = (
            symmetric_runs(partial(spectra.ritz_values, rounds=np.inf), run)
            for run in (random, from_outer)
        )
        return Singular(of_random, of_outer, float(stretch))

    def _linearised(self, state: Any, key: PRNGKeyArray) -> tuple[InnerStep, Float[Array, " d"]]:
        """The inner steps of a sample's unroll, stacked, and T after the last of them."""
        system, start = self._measured.system, self._measured.start(state, key)
        drawn = sources(key, self._measured.n)
        points = unroll(system, start, drawn, objective=Validation(), at="last")
        assert points.outer is not None
        states = jax.tree.map(lambda leaf: leaf[:-1], points.states)
        steps = jax.lax.map(
            lambda at: linearised_step(system.update, at[0], at[1], start.eta),
            (states, points.trajectories),
        )
        return steps, points.outer.to_params[0, 0]

    def _decomposed(
        self, steps: InnerStep, outer: Float[Array, " d"], key: PRNGKeyArray, *, name: str
    ) -> tuple[LanczosDecomposition, LanczosDecomposition, Float[Array, ""]]:
        product = product_over_steps(steps, 0, name)
        start = jax.random.normal(key, outer.shape, outer.dtype)
        most = min(PRODUCTS, self._measured.settings.max_matvecs)
        random, of_outer = (
            spectra.lanczos(spectra.gram_minus_identity(of), v, max_matvecs=most, tolerance=0.0)
            for of, v in ((product, start), (product.T, outer))
        )
        length = jnp.linalg.norm(product.T.product(outer))
        return random, of_outer, length / jnp.linalg.norm(outer)


def _dense(steps: InnerStep, *, name: str) -> Float[Array, "d d"]:
    """P - I as a matrix."""
    shift = product_over_steps(steps, 0, name).minus_identity
    assert shift is not None
    return spectra.dense_matrix(shift)


def _of_matrix(shift: Float[np.ndarray, "d d"], outer: Float[np.ndarray, " d"]) -> Singular:
    """The same by LAPACK, in float64, from P - I."""
    n = np.asarray(shift, np.float64)
    right, left = (n + n.T + square for square in (n.T @ n, n @ n.T))
    of_random, of_outer = (spectra.matrix_spectrum(m.astype(shift.dtype)) for m in (right, left))
    length = np.linalg.norm(outer)
    if not (np.isfinite(n).all() and np.isfinite(outer).all() and length > 0):
        nothing = np.full(len(n), np.nan)
        return Singular(of_random, dataclasses.replace(of_outer, values=nothing), np.nan)
    unit = np.asarray(outer, np.float64) / length
    values, vectors = np.linalg.eigh(left)
    weights = (vectors.T @ unit) ** 2
    from_outer = dataclasses.replace(of_outer, values=values, weights=weights)
    return Singular(of_random, from_outer, float(np.linalg.norm(unit + n.T @ unit)))


def _variables(found: Sequence[Singular], operators: int) -> Values:
    """All that was measured, the operators of one unroll after the other."""
    columns: dict[str, list[float]] = {}
    for one in found:
        for name, value in _numbers(one).items():
            columns.setdefault(name, []).append(value)
    values = {name: np.reshape(column, (-1, operators)) for name, column in columns.items()}
    return values | {"singular_matvecs": values["singular_matvecs"].astype(np.int32)}


def _numbers(of: Singular) -> dict[str, float]:
    """Of one product, by the names of variables."""
    numbers: dict[str, float] = {}
    for name, (low, high) in _MASSES.items():
        share, half = spectra.mass([of.random], low, high)
        numbers |= {f"singular_mass_{name}": share, f"singular_mass_{name}_error": half}
    below, upto = cumulative_bounds(of.outer, GROWING, blur=of.outer.rounding)
    mean, half = spectra.moment([of.random], 1)  # of sigma^2 - 1
    low, root = (float(np.sqrt(max(1 + mean + end, 0.0))) for end in (-half, 0.0))
    return numbers | {
        "outer_overlap": 1 - (below + upto) / 2,
        "outer_overlap_error": (upto - below) / 2,
        "outer_stretch": of.stretch,
        "random_stretch": root,
        "random_stretch_error": root - low,
        "singular_matvecs": of.random.matvecs + of.outer.matvecs,
    }
