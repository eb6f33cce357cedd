"""What hessdiag claims of many operators of one kind, counted against the truth."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hessdiag import spectra
from hessdiag.spectra.quadrature import cumulative_bounds
from tests.oracles.families import Case

STARTS, PRODUCTS = 4, 40
BATCH = 10  # operators in memory at once
TOLERANCE = 1e-5


@dataclasses.dataclass
class Claims:
    """Of one family.

    Attributes:
        tried: Operators.
        refused: Of these, as not symmetric.
        intervals: Errors of Ritz values and of ends; broken: without an eigenvalue in it.
        sure: Operators whose ends are called converged, by starts that agree; missed: of these,
            where an end is outside of its error.
        verdicts: yes or no; wrong: of these; undecided: besides.
        widths: Errors of ends, relative to |A|.
    """

    tried: int = 0
    refused: int = 0
    intervals: int = 0
    broken: int = 0
    sure: int = 0
    missed: int = 0
    verdicts: int = 0
    wrong: int = 0
    undecided: int = 0
    widths: list[float] = dataclasses.field(default_factory=list)

    def judge(self, runs: Sequence[spectra.RitzValues], case: Case, alpha: float) -> None:
        """Count the claims that these runs make of an operator, and of I - alpha A."""
        ends, truth = spectra.extremes(runs), case.truth
        for run in runs:
            self.intervals += len(run.values)
            self.broken += int(np.sum(_distances(run.values, truth) > run.errors))
        found = np.array([ends.lowest, ends.highest])
        errors = np.array([ends.lowest_error, ends.highest_error])
        self.widths += list(errors / case.norm)
        if ends.converged and not ends.disagreement > 1:
            self.sure += 1
            self.missed += bool(np.any(np.abs(found - truth[[0, -1]]) > errors))
        said = spectra.shifted(ends, alpha).exceeds_one
        exceeds = max(-alpha * truth[0], alpha * truth[-1] - 2) > 0
        self.undecided += said == "undecided"
        self.verdicts += said != "undecided"
        self.wrong += said == ("no" if exceeds else "yes")


def _distances(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    right = np.clip(np.searchsorted(truth, values), 1, len(truth) - 1)
    return np.minimum(np.abs(values - truth[right - 1]), np.abs(values - truth[right]))


@functools.cache
def program(build: Callable[[Any], spectra.Operator]):
    """(data, starts, tolerance) -> Lanczos runs of several operators, from several starts each."""

    def of_one(data, starts, tolerance):
        operator = build(data)
        options = {"max_matvecs": PRODUCTS, "tolerance": tolerance}
        return jax.lax.map(lambda v: spectra.lanczos(operator, v, **options), starts)

    def of_all(data, starts, tolerance):
        return jax.lax.map(lambda at: of_one(at[0], at[1], tolerance), (data, starts))

    return jax.jit(of_all)


def runs_of(build, cases: Sequence[Case], tolerance: float, seed: int):
    """The decompositions of every case, on the host, each with a leading axis of starts."""
    data = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *[c.data for c in cases])
    shape = (len(cases), STARTS, cases[0].size)
    starts = jax.random.normal(jax.random.key(seed), shape, jnp.float32)
    made = jax.device_get(program(build)(data, starts, tolerance))
    return [jax.tree.map(lambda leaf, i=i: leaf[i], made) for i in range(len(cases))]


def claims_of(build, cases: Iterable[Case]) -> Claims:
    """All that is claimed of these operators; of I - alpha A with alpha around 2 / |A|."""
    counted, rng = Claims(), np.random.default_rng(19)
    for case, made in _with_runs(build, cases):
        counted.tried += 1
        alpha = 2 / case.norm * 10.0 ** rng.normal(-0.05, 0.2)
        try:
            counted.judge(spectra.ritz_values_per_start(made), case, alpha)
        except spectra.NonSymmetricOperatorError:
            counted.refused += 1
    return counted


def _with_runs(build, cases: Iterable[Case]):
    for seed, batch in enumerate(itertools.batched(cases, BATCH)):
        yield from zip(batch, runs_of(build, batch, TOLERANCE, seed), strict=True)


@dataclasses.dataclass
class Coverage:
    """How often intervals held the truth."""

    tried: int
    held: float  # part of the tries
    width: float  # median half-width
    open: float = 0.0  # median of what quadratures leave open of it


def shares_of(build, cases: Sequence[Case]) -> Coverage:
    """Of the shares of negative eigenvalues.

    Zero is where products cannot tell: a truth within their rounding may be on either side.
    """
    held, widths, opened = [], [], []
    for case, made in zip(cases, runs_of(build, cases, 0.0, 1), strict=True):
        runs = spectra.ritz_values_per_start(made)
        split = spectra.mass_split(runs, 1 / (4 * case.norm))
        zero = max(run.rounding for run in runs)
        least, most = np.mean(case.truth < -2 * zero), np.mean(case.truth < 0)
        share, error = split.above
        held.append(least - error <= share <= most + error)
        widths.append(error)
        bounds = np.array([cumulative_bounds(run, -zero) for run in runs])
        opened.append(np.mean(bounds[:, 1] - bounds[:, 0]) / 2)
    middle = float(np.median(widths))
    return Coverage(len(held), float(np.mean(held)), middle, float(np.median(opened)))


@functools.cache
def _traces(build, products: int):
    def one(pair):
        return spectra.sketched_trace(build(pair[0]), pair[1], num_matvecs=products)

    return jax.jit(lambda data, keys: jax.lax.map(one, (data, keys)))


def traces_of(build, cases: Sequence[Case], products: int) -> Coverage:
    """Of traces; widths relative to the sum of the moduli of the eigenvalues."""
    data = jnp.stack([jnp.asarray(case.data) for case in cases])
    made = _traces(build, products)(data, jax.random.split(jax.random.key(2), len(cases)))
    wide = np.array([np.trace(np.asarray(case.data, np.float64)) for case in cases])
    sizes = np.array([np.abs(case.truth).sum() for case in cases])
    held = np.abs(np.asarray(made.estimate, np.float64) - wide) <= made.half_width
    return Coverage(len(cases), float(np.mean(held)), float(np.median(made.half_width / sizes)))
