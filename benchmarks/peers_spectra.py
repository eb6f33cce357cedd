"""hessdiag beside the libraries that compute spectra of Hessians, on the Snake network's.

Three tasks: both ends, the 20 eigenvalues of largest magnitude, the density. Every library runs in
a process of its own, set up before the clock starts; then they take turns, so that each call has
one of hessdiag's beside it. Errors, bounds and residuals are relative to ‖A‖.

`python -m benchmarks.peers_spectra [repeats] [task ...]`
"""

import sys
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers import with_hessdiag
from benchmarks.peers.interface import Asked, Measure
from benchmarks.peers.reference import SEED, Reference, distance, error, reference, residual
from benchmarks.peers.target import Target, snake_target
from benchmarks.peers.worker import Outcome, Worker
from benchmarks.timing import save

LIBRARIES = {
    "hessdiag": "hessdiag",
    "scipy": "SciPy eigsh",
    "matfree": "matfree",
    "curvlinops": "curvlinops",
    "eigenthings": "hessian-eigenthings",
    "pyhessian": "PyHessian",
}
PACKAGES = ("scipy", "matfree", "torch", "curvlinops-for-pytorch", "hessian-eigenthings")
PACKAGES = (*PACKAGES, "pyhessian")

TOLERANCE = 1e-4
TOP = 20
PROBES, STEPS = 10, 80
REFERENCE_DEPTH = 400
SLOW = 30.0  # seconds after which the call of a library that compiles nothing is not repeated
COMPILED = ("hessdiag", "SciPy eigsh", "matfree")

COLUMNS = (
    "library",
    "time / hessdiag",
    "seconds",
    "slower than hessdiag in",
    "products",
    "error",
    "own bound",
    "residual",
    "MiB, first call",
    "MiB, later",
)


class Timed(NamedTuple):
    """A library's calls of one task; the first compiles, where anything is compiled.

    The last one is untimed: the same with vectors, of libraries that save them the ends.
    """

    first: Outcome
    later: list[Outcome]
    resolved: Outcome | None = None

    @property
    def seconds(self) -> float:
        """Median; the first call counts only where it is the only one."""
        return float(np.median([call.seconds for call in self.later or [self.first]]))


def main() -> None:
    words = sys.argv[1:]
    repeats = int(words.pop(0)) if words and words[0].isdigit() else 5
    target = snake_target()
    known = reference(target, REFERENCE_DEPTH)
    print(f"reference: [{known.values[0]:.6g}, {known.values[-1]:.6g}]")
    rows: list[dict[str, Any]] = []
    tables = []
    for task in words or ("extremes", "top", "density"):
        asked, defaults, title = _requests(task, known)
        timed, own = _take_turns(task, asked, defaults, repeats)
        truth = _truth(task, known, target)
        lines = [_line(name, timed[name], timed, target, truth, known) for name in timed]
        lines += [
            _line(f"{name}, own defaults", own[name], timed, target, truth, known) for name in own
        ]
        tables.append({"title": title, "columns": COLUMNS, "rows": lines})
        rows += _ratios(task, timed)
    save(
        "peers_spectra",
        "python -m benchmarks.peers_spectra",
        rows,
        tables=tables,
        versions={name: version(name) for name in PACKAGES},
    )


def _requests(task: str, known: Reference) -> tuple[tuple, tuple | None, str]:
    """Arguments of the task, those for a library's own defaults, and the table's title."""
    if task == "extremes":
        depth = known.depth(None, TOLERANCE)
        title = (
            f"Both ends, to {TOLERANCE:g} (‖A‖ = {known.norm:.4g}). Libraries that cannot stop by "
            f"themselves are told {depth} products, what plain Lanczos needs"
        )
        return (Asked(TOLERANCE, depth),), (Asked(),), title
    if task == "top":
        depth = known.depth(TOP, TOLERANCE)
        title = (
            f"The {TOP} eigenvalues of largest magnitude, to {TOLERANCE:g}. Libraries that cannot "
            f"stop by themselves are told {depth} products, what plain Lanczos needs"
        )
        return (TOP, Asked(TOLERANCE, depth)), None, title
    title = (
        f"Density, {PROBES} probes × {STEPS} steps. The error is the 1-Wasserstein distance to "
        f"{2 * PROBES} other probes, relative to ‖A‖: mostly the probes' own noise"
    )
    return (PROBES, STEPS), None, title


def _take_turns(
    task: str, asked: tuple, defaults: tuple | None, repeats: int
) -> tuple[dict[str, Timed], dict[str, Timed]]:
    """Each library's calls, by name, and its one call with its own defaults."""
    workers = {name: Worker(library) for library, name in LIBRARIES.items()}
    timed: dict[str, Timed] = {}
    for name, worker in workers.items():
        timed[name] = Timed(worker.call(task, *asked), [])
        print(f"{task}: {name} {timed[name].first.seconds:.1f} s", timed[name].first.failure or "")
    for _ in range(repeats):
        for name, worker in workers.items():
            first = timed[name].first
            if first.failure is None and (name in COMPILED or first.seconds < SLOW):
                timed[name].later.append(worker.call(task, *asked))
    if task == "extremes":
        for name, worker in workers.items():
            resolved = worker.call("resolved_extremes", *asked)
            timed[name] = timed[name]._replace(resolved=resolved)
    own = {}
    if defaults is not None:
        others = [name for name in workers if name not in ("hessdiag", "matfree")]
        own = {name: Timed(workers[name].call(task, *defaults), []) for name in others}
    for worker in workers.values():
        worker.close()
    return timed, own


def _truth(task: str, known: Reference, target: Target) -> Any:
    """What the answers are held against."""
    if task == "extremes":
        return known.values[[0, -1]]
    if task == "top":
        return known.largest(TOP)
    return with_hessdiag.Peer(target, SEED).density(2 * PROBES, STEPS)


def _line(
    name: str,
    timed: Timed,
    everyone: dict[str, Timed],
    target: Target,
    truth: Any,
    known: Reference,
) -> list[Any]:
    """One row of the table."""
    answer = timed.first.answer
    if answer is None:
        return [name, timed.first.failure, *[None] * (len(COLUMNS) - 2)]
    if isinstance(answer, Measure):
        wrong, bound, left = distance(answer, truth, known.norm), None, None
    else:
        wrong = error(answer, truth, known.norm)
        bound = None if answer.errors is None else float(answer.errors.max()) / known.norm
        resolved = timed.resolved.answer if timed.resolved else None
        left = residual(target, resolved or answer, known.norm)
    later = float(np.median([call.mebibytes for call in timed.later])) if timed.later else None
    return [
        name,
        timed.seconds / everyone["hessdiag"].seconds,
        timed.seconds,
        _slower(timed, everyone["hessdiag"]),
        answer.matvecs,
        wrong,
        bound,
        left,
        timed.first.mebibytes,
        later,
    ]


def _slower(timed: Timed, ours: Timed) -> str | None:
    """In how many of the turns that both took this one took longer."""
    pairs = list(zip(timed.later, ours.later, strict=False))
    if timed is ours or not pairs:
        return None
    return f"{sum(a.seconds > b.seconds for a, b in pairs)} of {len(pairs)}"


def _ratios(task: str, timed: dict[str, Timed]) -> list[dict[str, Any]]:
    """The rows for the short table: every library's time, and the fewest products of any."""
    ours = timed["hessdiag"]
    others = {
        name: other
        for name, other in timed.items()
        if other is not ours and other.first.answer is not None
    }
    rows = [
        {
            "what": f"{task}: {name} / hessdiag, time",
            "value": other.seconds / ours.seconds,
            "unit": "×",
            "goal": "> 1",
        }
        for name, other in others.items()
    ]
    fewest = min(other.first.answer.matvecs for other in others.values())
    products = {
        "what": f"{task}: fewest products of another library / hessdiag's",
        "value": fewest / ours.first.answer.matvecs,
        "unit": "×",
        "goal": "≥ 1",
    }
    return [*rows, products]


if __name__ == "__main__":
    main()
