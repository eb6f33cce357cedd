"""docs/conformance.md: the same cases, put to every library that installs here, and one rule."""

import concurrent.futures
import importlib
import json
import multiprocessing
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import conformance_families as families
from benchmarks import conformance_families_page as families_page
from benchmarks.conformance_cases import CASES, Case, Problem
from benchmarks.peers.batches import unequal_batches
from benchmarks.peers.interface import Asked, Found
from tests.oracles.gauntlet import distances, num_ghosts

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"
RESULTS = Path(__file__).parent / "conformance.json"
COMMAND = "python -m benchmarks.conformance"

LIBRARIES = {  # module of the peer -> (name on the page, distribution)
    "hessdiag": ("hessdiag", "hessdiag"),
    "matfree": ("matfree", "matfree"),
    "pyhessian": ("PyHessian", "pyhessian"),
    "eigenthings": ("hessian-eigenthings", "hessian-eigenthings"),
    "curvlinops": ("curvlinops", "curvlinops-for-pytorch"),
    "laplax": ("laplax", "laplax"),
    "cola": ("CoLA", "cola-ml"),
    "scipy": ("SciPy", "scipy"),
}
TORCH = ("pyhessian", "eigenthings", "curvlinops")

NOT_OFFERED = "not offered"
TOLERANCE = 1e-3  # relative to ‖A‖, for values that come without a bound
REQUESTED = 1e-5  # of libraries that take a tolerance
STANDARD_ERRORS = 4.0  # of an estimate: five honest ones exceed it with probability 0.03 %
SEEDS = range(5)  # of matrices and start vectors
ROUNDING = 20 * float(np.finfo(np.float32).eps)  # relative to |A|, granted to every bound

RULE = f"""\
One rule for all: every returned value lies within its own stated bound of a true eigenvalue, or,
if the library states none, within {TOLERANCE:g} ‖A‖; the values that were asked for are the right
ones; none that is sure to within {2 * TOLERANCE:g} ‖A‖ is returned more often than its
multiplicity. A library that says "not converged" passes
where the products given cannot suffice (G11), and one that refuses passes where there is no right
answer (G8). An estimated trace counts as right within {STANDARD_ERRORS:g} stated standard errors,
or within {TOLERANCE:g} relative if none is stated.

Every matrix is rounded to float32 and given to each library through its public interface: the JAX
libraries and SciPy get its products, the PyTorch libraries a quadratic loss with that Hessian.
Settings are each library's defaults, but for the number of values, the number of steps and the
tolerance, {REQUESTED:g}, where it takes them. "All" is asked of a Krylov space that becomes
invariant: every value of it is judged.
"""


class Verdict(NamedTuple):
    """A cell of the table."""

    passed: bool | None
    detail: str = ""

    def __str__(self) -> str:
        if self.passed is None:
            return self.detail
        word = "pass" if self.passed else "**fail**"
        return f"{word}: {self.detail}" if self.detail else word


def main() -> None:
    """Measures the libraries named, or all, and makes the page of what is kept of every one."""
    context = multiprocessing.get_context("spawn")
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for library in sys.argv[1:] or LIBRARIES:
        with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
            kept[library] = pool.submit(run_library, library).result()
        RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if set(kept) == set(LIBRARIES):
        PAGE.write_text(page(kept), encoding="utf-8")


def page(kept: dict[str, dict[str, Any]]) -> str:
    """The page as Markdown."""
    names = [name for name, _ in LIBRARIES.values()]
    packages = dict.fromkeys(package for _, package in LIBRARIES.values())
    versions = ", ".join(f"{p} {version(p)}" for p in (*packages, "jax", "torch", "numpy"))
    lines = [
        "# Conformance",
        "",
        f"Made by `{COMMAND}` with {versions}.",
        "",
        *families_page.sections({name: kept[name]["families"] for name in LIBRARIES}, names),
        "## Cases with known answers, each of which some library gets wrong",
        "",
        RULE,
        f"| case | asked | {' | '.join(names)} |",
        f"| --- | --- |{' --- |' * len(names)}",
    ]
    for name, about in _questions():
        cells = " | ".join(kept[library]["cases"][name] for library in LIBRARIES)
        lines.append(f"| {name} | {about} | {cells} |")
    lines += ["", *_notes(), ""]
    return "\n".join(lines)


def _questions() -> list[tuple[str, str]]:
    asked = {"all": "all", "top": "largest magnitudes", "ends": "both ends", "trace": "trace"}
    cases = [(case.name, f"{case.about}; {asked[case.ask]}") for case in CASES]
    cases += [
        ("G7", "batches of 8 and of 2 are one batch of 10; largest eigenvalue"),
        ("G10", "what it offers runs as installed, on the versions above"),
    ]
    return sorted(cases, key=lambda case: (int(case[0][1:].rstrip("b")), case[0]))


def _notes() -> list[str]:
    return [
        "What is behind the failures, read in the libraries' sources:",
        "",
        "- G1, G1b: when the Krylov space is exhausted, the next vector is rounding. matfree, "
        "PyHessian and hessian-eigenthings (its threshold is absolute, 1e-12) go on from it.",
        "- G2: hessian-eigenthings does not reorthogonalise above 50 steps unless asked to.",
        "- G3, G6: CoLA's `LM`, documented as largest in magnitude, is the algebraic top. "
        "PyHessian stops its power iteration when the estimate changes little.",
        "- G5: laplax takes anything below 1e-6 for zero; PyHessian adds 1e-6 to norms.",
        "- G7: hessian-eigenthings takes the mean of the batches' means.",
        "- G8: hessdiag measures asymmetry as it runs. A Hessian by automatic differentiation is "
        "symmetric, so that PyHessian and curvlinops cannot be asked.",
        "- G10: PyHessian's `density`, its only way to both ends, calls a PyTorch function that "
        "has been removed; for the other cases it is put back.",
    ]


def run_library(library: str) -> dict[str, Any]:
    """Everything on one library, as JSON has it; runs in a process of its own."""
    warnings.simplefilter("ignore")
    return {"cases": _verdicts(library), "families": families.measured(library)}


def _verdicts(library: str) -> dict[str, str]:
    made = {case.name: _guarded(lambda case=case: _judge_case(library, case)) for case in CASES}
    made["G7"] = _guarded(lambda: _over_seeds([_judge_batches(library, seed) for seed in SEEDS]))
    made["G10"] = _guarded(lambda: _judge_installed(library))
    for name, verdict in made.items():
        print(f"{library} {name}: {verdict}", flush=True)
    return {name: str(verdict) for name, verdict in made.items()}


def _guarded(judge: Callable[[], Verdict]) -> Verdict:
    """A library's exception is a result."""
    try:
        return judge()
    except Exception as failure:
        return Verdict(False, f"{type(failure).__name__}: {str(failure).splitlines()[0][:60]}")


def _judge_case(library: str, case: Case) -> Verdict:
    judges = {"trace": _judge_trace, "ends": _judge_refusal}
    made = [judges.get(case.ask, _judge_values)(library, case, seed) for seed in SEEDS]
    return _over_seeds(made)


def _over_seeds(made: list[Verdict]) -> Verdict:
    """The verdict on all seeds: the first failure, if there is one."""
    failed = [verdict for verdict in made if verdict.passed is False]
    if not failed:
        return made[0]
    return Verdict(False, f"{failed[0].detail} ({len(failed)}/{len(made)} seeds)")


def _judge_values(library: str, case: Case, seed: int) -> Verdict:
    problem = case.problem(seed)
    found = _ask(_peer(library, problem, seed), case)
    return judge(found, case, problem.truth)


def _ask(peer, case: Case) -> Found:
    """Call the method that answers; a list of all values where the library gives one."""
    asked = Asked(REQUESTED, case.depth)
    if case.ask == "all" and hasattr(peer, "ritz"):
        return peer.ritz(case.depth)
    if not case.enough and hasattr(peer, "capped_top"):
        return peer.capped_top(case.num, case.depth)
    return peer.top(case.num, asked)


def judge(found: Found, case: Case, truth: np.ndarray) -> Verdict:
    """The rule above the table."""
    norm = float(np.abs(truth).max())
    if not np.isfinite(found.values).all():
        return _unless_said(found, case, "NaN")
    bounds = np.full(len(found.values), TOLERANCE * norm)
    if found.errors is not None:
        bounds = found.errors + ROUNDING * norm
    off = distances(found.values, truth)
    if (off > bounds).any():
        count = int((off > bounds).sum())
        detail = f"{count} of {len(bounds)} values off, by up to {_relative(off.max(), norm)}"
        return _unless_said(found, case, detail)
    sure = found.values[bounds <= 2 * TOLERANCE * norm]
    ghosts = num_ghosts(sure, truth, TOLERANCE * norm)
    if ghosts:
        return _unless_said(found, case, f"{ghosts} ghosts")
    return _judge_selection(found, case, truth, bounds, norm)


def _judge_selection(
    found: Found, case: Case, truth: np.ndarray, bounds: np.ndarray, norm: float
) -> Verdict:
    """Whether the values are those asked for."""
    wanted = np.sort(truth[np.argsort(-np.abs(truth))[: case.num]])
    if case.ask == "all":  # of a repeated eigenvalue one copy is enough
        missed = distances(wanted, found.values).max()
        if missed > TOLERANCE * norm:
            return Verdict(False, f"an eigenvalue is missing, by {_relative(missed, norm)}")
        return Verdict(True)
    if len(found.values) < len(wanted):
        return _unless_said(found, case, f"{len(found.values)} of {len(wanted)} values")
    order = np.argsort(found.values)
    wrong = np.abs(found.values[order] - wanted)
    if (wrong > bounds[order]).any():
        return _unless_said(found, case, f"wrong value, by {_relative(wrong.max(), norm)}")
    return Verdict(True, "says not converged" if found.flagged else "")


def _unless_said(found: Found, case: Case, detail: str) -> Verdict:
    """Where the products cannot suffice, to say so is right."""
    if not case.enough and found.flagged:
        return Verdict(True, "says not converged")
    return Verdict(False, detail)


def _relative(error: float, norm: float) -> str:
    """An error in units of the norm."""
    return f"{error / norm:.1g} ‖A‖" if error < norm else f"{error / norm:.0f} ‖A‖"


def _judge_refusal(library: str, case: Case, seed: int) -> Verdict:
    """Eigenvalues of a matrix that is not symmetric, asked of a symmetric method."""
    if library in ("pyhessian", "curvlinops"):
        return Verdict(None, NOT_OFFERED)
    problem = case.problem(seed)
    peer = _peer(library, problem, seed)
    try:
        found = peer.extremes(Asked(depth=case.depth))
    except ValueError as refusal:
        return Verdict(True, type(refusal).__name__)
    off = distances(found.values, problem.truth).max()
    norm = float(np.abs(problem.truth).max())
    if off < TOLERANCE * norm:
        return Verdict(True)
    return Verdict(False, f"no word, values off by {_relative(off, norm)}")


def _judge_trace(library: str, case: Case, seed: int) -> Verdict:
    problem = case.problem(seed)
    peer = _peer(library, problem, seed)
    if not hasattr(peer, "trace"):
        return Verdict(None, NOT_OFFERED)
    estimate, standard_error = peer.trace(case.depth)
    truth = float(problem.truth.sum())
    error = abs(estimate - truth)
    if standard_error is None:
        passed, stated = error <= TOLERANCE * abs(truth), "no error stated"
    else:
        passed = error <= STANDARD_ERRORS * standard_error
        stated = f"± {standard_error / abs(truth):.1%} stated"
    return Verdict(passed, f"{error / abs(truth):.1%} off, {stated}")


def _judge_batches(library: str, seed: int) -> Verdict:
    error = unequal_batches(library, seed)
    if error is None:
        return Verdict(None, NOT_OFFERED)
    return Verdict(True) if error < TOLERANCE else Verdict(False, f"{error:.0%} off")


def _judge_installed(library: str) -> Verdict:
    """It imports and takes an operator; the other cases run what it offers, but for one repair."""
    peer = _peer(library, CASES[0].problem(0), 0)
    if library == "pyhessian":
        peer.made.density(iter=2, n_v=1)  # without the function that is put back for it
    return Verdict(True)


def _peer(library: str, problem: Problem, seed: int):
    """The library's wrapper around an operator, with the library's own defaults."""
    module = importlib.import_module(f"benchmarks.peers.with_{library}")
    if library == "eigenthings":
        if problem.form == "asymmetric":
            return module.of_matrix(problem.data, seed)
        return module.of_loss(problem.torch_target(), seed, reorthogonalize=None)
    if library in TORCH:
        return module.Peer(problem.torch_target(), seed)
    return module.Peer(problem.jax_target(), seed)


if __name__ == "__main__":
    main()
