"""Ends and largest eigenvalues of large maps: hessdiag, ARPACK and matfree on the same products.

Networks of 1, 5 and 20 million parameters and a diagonal of 300,000. Every library runs in a
process of its own, and they take turns. All are asked for the same tolerance; matfree has no
stopping rule and is told how many products plain Lanczos needs. hessdiag's largest pairs come with
errors and a search for missed ones, which cost it products that the others do not spend.

`python -m benchmarks.large_spectra [repeats] [target ...]`
"""

import functools
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.peers.interface import Asked
from benchmarks.peers.reference import SEED, Reference
from benchmarks.peers.target import Target, diagonal_target, mlp_target, random_vector
from benchmarks.peers.worker import Outcome, Worker
from benchmarks.timing import medians, save
from hessdiag import spectra
from hessdiag.spectra.driven import DrivenLanczos

TARGETS: dict[str, Callable[[], Target]] = {
    "diagonal of 300,000": functools.partial(diagonal_target, 300_000),
    "network of 1M, 1,024 examples": functools.partial(mlp_target, (500, 800, 700), 1024),
    "network of 5M, 256 examples": functools.partial(mlp_target, (1000, 1600, 1600, 500), 256),
    "network of 20M, 64 examples": functools.partial(mlp_target, (2000, 3200, 3200, 1000), 64),
}
LIBRARIES = {"hessdiag": "hessdiag", "scipy": "SciPy eigsh", "matfree": "matfree"}
TASKS: dict[str, tuple[int, ...]] = {"both ends": (), "k = 1": (1,), "k = 5": (5,)}
TOLERANCE, STEPS, DEEPEST = 1e-3, 60, 96
STEPS_OF = "network of 1M, 1,024 examples"  # whose steps are timed by themselves
COLUMNS = ("library", "time / hessdiag", "seconds", "products", "value", "MiB")


def main() -> None:
    words = sys.argv[1:]
    repeats = int(words.pop(0)) if words and words[0].isdigit() else 3
    rows: list[dict[str, Any]] = []
    tables = []
    for name in words or TARGETS:
        rows += _overhead(name, repeats)
        known = _known(TARGETS[name]())
        for task, arguments in TASKS.items():
            depth = known.depth(arguments[0] if arguments else None, TOLERANCE)
            asked = Asked(TOLERANCE, depth)
            calls = _take_turns(TARGETS[name], task, arguments, asked, repeats)
            rows += _ratios(f"{name}, {task}", calls)
            lines = [_line(library, calls) for library in calls]
            tables.append({"title": f"{name}, {task}", "columns": COLUMNS, "rows": lines})
        save(
            "large_spectra",
            " ".join(["python -m benchmarks.large_spectra", *sys.argv[1:]]),
            rows,
            tables=tables,
            versions={name: version(name) for name in ("scipy", "matfree")},
        )


def _overhead(name: str, repeats: int) -> list[dict[str, Any]]:
    """Steps of Lanczos over their products alone."""
    if name != STEPS_OF:
        return []
    target = TARGETS[name]()
    start = np.asarray(random_vector(target, 0))

    def products() -> np.ndarray:
        return [np.asarray(target.matvec(start)) for _ in range(STEPS)][-1]

    @spectra.one_lapack_thread
    def steps() -> float:
        run = DrivenLanczos(target.matvec, start, random=np.random.default_rng(0))
        for _ in range(STEPS):
            run.step()
        return run.scale

    seconds = medians({"products": products, "steps": steps}, repeats=repeats)
    what = f"{name}: {STEPS} steps of Lanczos / {STEPS} products alone, time"
    ratio = seconds["steps"] / seconds["products"]
    return [{"what": what, "value": ratio, "unit": "×", "goal": "≤ 1.15"}]


@spectra.one_lapack_thread
def _known(target: Target) -> Reference:
    """What a run from another start than the libraries' tells."""
    start = np.asarray(random_vector(target, SEED))
    run = DrivenLanczos(target.matvec, start, random=np.random.default_rng(SEED))
    for _ in range(DEEPEST):
        run.step()
    made = run.decomposition(0.0)
    found = spectra.ritz_values(made)
    alpha, beta = (np.asarray(part, np.float64) for part in (made.alpha, made.beta))
    return Reference(found.values, found.errors, float(np.abs(found.values).max()), alpha, beta)


def _take_turns(
    make: Callable[[], Target], task: str, arguments: tuple[int, ...], asked: Asked, repeats: int
) -> dict[str, list[Outcome]]:
    """Each library's calls; the first one, which compiles, is left out."""
    workers = {name: Worker(library, make) for library, name in LIBRARIES.items()}
    calls: dict[str, list[Outcome]] = {name: [] for name in workers}
    for turn in range(repeats + 1):
        for name, worker in workers.items():
            method = "top" if arguments else _ends_of(worker.library)
            made = worker.call(method, *arguments, asked)
            if turn:
                calls[name].append(made)
        print(task, {name: made[-1:] and made[-1].seconds for name, made in calls.items()})
    for worker in workers.values():
        worker.close()
    return calls


def _ends_of(library: str) -> str:
    return "driven_extremes" if library == "hessdiag" else "extremes"


def _median(calls: list[Outcome]) -> float:
    return float(np.median([call.seconds for call in calls]))


def _ratios(what: str, calls: dict[str, list[Outcome]]) -> list[dict[str, Any]]:
    ours = _median(calls["hessdiag"])
    return [
        {
            "what": f"{what}: {name} / hessdiag, time",
            "value": _median(made) / ours,
            "unit": "×",
            "goal": "> 1",
        }
        for name, made in calls.items()
        if name != "hessdiag" and made[0].answer is not None
    ]


def _line(library: str, calls: dict[str, list[Outcome]]) -> list[Any]:
    made = calls[library]
    answer = made[0].answer
    if answer is None:
        return [library, made[0].failure, *[None] * (len(COLUMNS) - 2)]
    largest = answer.values[np.argmax(np.abs(answer.values))]
    seconds, memory = _median(made), float(np.median([call.mebibytes for call in made]))
    ratio = seconds / _median(calls["hessdiag"])
    return [library, ratio, seconds, answer.matvecs, float(largest), memory]


if __name__ == "__main__":
    main()
