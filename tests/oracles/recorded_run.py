"""One real run with every part of a probe, made once per session by the code that makes runs."""

from pathlib import Path

from tests.train.driving import TINY, fresh

EVERYTHING = TINY | {
    "train.iterations": 4,
    "probe.at": [1, 3],
    "probe.operators": ["augmented"],
    "probe.products": True,
    "probe.operator_unrolls": 1,
    "probe.max_matvecs": 4,
    "probe.departure_probes": 2,
    "probe.counterfactuals": ["stable-hessian", "as-sgd"],
    "probe.nested": 2,
    "probe.also": ["singular-values", "twins", "smoothness", "estimators"],
}


def record(path: Path) -> Path:
    """Make the run in a new directory; tests must not change it."""
    return fresh(path, EVERYTHING)
