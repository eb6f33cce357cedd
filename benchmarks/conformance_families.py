"""Families of random operators, put to every library: what it says of them, counted."""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.conformance_cases import Problem
from benchmarks.peers.interface import Asked, Found
from benchmarks.peers.target import Target
from tests.oracles import claims
from tests.oracles.families import FAMILIES, Case, of_matrix
from tests.oracles.families_of_spectra import SPECTRA, case

SIZE = 128
OURS, THEIRS = 200, 10  # operators of a family that hessdiag and the others are given
FEW = 2  # for those that compile anew for each, or take long
SLOW = ("laplax", "cola")
LARGE, OURS_OF_LARGE = 50_000, 10  # FEW of these for the others
COVERAGE = 300  # tries behind a coverage
TRACES = (4, 8, 24, 60)  # products
DEPTH = claims.PRODUCTS
TORCH = ("pyhessian", "eigenthings")
AS_SCIPY = (
    "curvlinops"  # gives its products to the same ARPACK, and takes minutes where that is slow
)
BOUND = 1e-3  # relative, of what comes without one
ROUNDING = 20 * float(np.finfo(np.float32).eps)
REQUESTED = claims.TOLERANCE


class Ends(NamedTuple):
    """Of a library on one family: operators, those with a wrong end, those it is not sure of."""

    tried: int
    wrong: int
    unsure: int


class Kind(NamedTuple):
    """A family as the libraries get it."""

    make: Callable[[int], Case]
    build: Callable[[Any], Any]
    is_dense: bool  # its data are a symmetric matrix


def kinds() -> dict[str, Kind]:
    """All families, by name."""
    of_spectra = {
        name: Kind(functools.partial(case, name, size=SIZE), of_matrix, True) for name in SPECTRA
    }
    dense = ("general", "low rank")
    others = {f.name: Kind(f.make, f.build, f.name in dense) for f in FAMILIES.values()}
    return of_spectra | others


def measured(library: str) -> dict[str, Any]:
    """Everything of one library, as JSON has it."""
    if library == "hessdiag":
        return {"claims": _our_claims(), "coverage": _our_coverage()}
    made: dict[str, Any] = {"ends": {name: _ends(library, kind) for name, kind in kinds().items()}}
    if library in _TRACES:
        made["coverage"] = {name: _TRACES[library](_cases_of(name)) for name in SPECTRA}
    return made


def _our_claims() -> dict[str, dict[str, Any]]:
    made = {}
    for name, kind in kinds().items():
        cases = [kind.make(0)]
        count = OURS_OF_LARGE if cases[0].size > LARGE else OURS
        counted = dataclasses.asdict(
            claims.claims_of(kind.build, (kind.make(seed) for seed in range(count)))
        )
        counted["width"] = float(np.median(counted.pop("widths") or [np.nan]))
        made[name] = counted
        print("hessdiag", name, counted, flush=True)
    return made


def _our_coverage() -> dict[str, dict[str, Any]]:
    made = {}
    for name in SPECTRA:
        cases = _cases_of(name)
        made[name] = {"shares": dataclasses.asdict(claims.shares_of(of_matrix, cases))}
        for products in TRACES:
            covered = claims.traces_of(of_matrix, cases, products)
            made[name][f"trace {products}"] = dataclasses.asdict(covered)
        print("hessdiag", name, made[name], flush=True)
    return made


@functools.cache
def _cases_of(name: str) -> Sequence[Case]:
    """Others than those of the claims."""
    return [case(name, 10_000 + seed, SIZE) for seed in range(COVERAGE)]


def _ends(library: str, kind: Kind) -> Ends | None:
    """Both ends of every operator; None where the library cannot be given them."""
    if library == AS_SCIPY or (library in TORCH and not kind.is_dense):
        return None
    tried = FEW if library in SLOW or kind.make(0).size > LARGE else THEIRS
    wrong = unsure = 0
    for seed in range(tried):
        given = kind.make(seed)
        try:
            found = _peer(library, kind, given, seed).extremes(Asked(REQUESTED, DEPTH))
        except Exception as failure:  # a library's failure is a result here
            print(library, type(failure).__name__, str(failure)[:80], flush=True)
            found = Found(np.full(2, np.nan), 0)
        unsure += found.flagged
        wrong += not found.flagged and _is_wrong(found, given)
    print(library, tried, wrong, unsure, flush=True)
    return Ends(tried, wrong, unsure)


def _is_wrong(found: Found, given: Case) -> bool:
    values = np.sort(found.values)[[0, -1]]
    bounds = np.full(2, BOUND * given.norm)
    if found.errors is not None:
        order = np.argsort(found.values)[[0, -1]]
        bounds = found.errors[order] + ROUNDING * given.norm
    return not (np.abs(values - given.truth[[0, -1]]) <= bounds).all()


def _peer(library: str, kind: Kind, given: Case, seed: int):
    module = importlib.import_module(f"benchmarks.peers.with_{library}")
    if library not in TORCH:
        return module.Peer(Target(kind.build, jax.tree.map(jnp.asarray, given.data)), seed)
    target = Problem("dense", given.data, given.truth).torch_target()
    if library == "eigenthings":
        return module.of_loss(target, seed, reorthogonalize=None)
    return module.Peer(target, seed)


def _traces_of_matfree(cases: Sequence[Case]) -> dict[str, Any]:
    """Hutchinson's estimate, whose standard error it states; as many products as ours."""
    from matfree import stochtrace

    made = {}
    data = jnp.stack([jnp.asarray(given.data) for given in cases])
    keys = jax.random.split(jax.random.key(2), len(cases))
    for products in TRACES:
        sampler = stochtrace.sampler_signs(data[0, 0], num=products)
        estimate = stochtrace.estimator_monte_carlo_mean_and_sem(
            stochtrace.monte_carlo_trace(), sampler
        )

        def one(pair, estimate=estimate):
            matrix, key = pair
            return estimate(lambda v: jnp.matmul(matrix, v, precision="highest"), key)

        estimates = np.asarray(jax.jit(functools.partial(jax.lax.map, one))((data, keys)))
        made[f"trace {products}"] = _held(estimates if len(estimates) == 2 else estimates.T, cases)
    return made


def _traces_of_eigenthings(cases: Sequence[Case]) -> dict[str, Any]:
    """Its default, Hutch++."""
    from benchmarks.peers.with_eigenthings import of_matrix as peer

    made = {}
    for products in TRACES:
        try:
            pairs = [peer(given.data, seed).trace(products) for seed, given in enumerate(cases)]
            made[f"trace {products}"] = _held(np.array(pairs).T, cases)
        except ValueError as refusal:
            print("eigenthings", products, refusal, flush=True)
    return made


_TRACES = {"matfree": _traces_of_matfree, "eigenthings": _traces_of_eigenthings}


def _held(estimates: np.ndarray, cases: Sequence[Case]) -> dict[str, Any]:
    """Coverage of 1.96 stated standard errors; of none stated, nothing is held."""
    truth = np.array([np.trace(given.data.astype(np.float64)) for given in cases])
    sizes = np.array([np.abs(given.truth).sum() for given in cases])
    values, widths = estimates.astype(np.float64) * np.array([[1], [1.96]])
    held = np.abs(values - truth) <= widths
    return {
        "tried": len(cases),
        "held": float(np.mean(held)),
        "width": float(np.median(widths / sizes)),
    }
