"""Every question, answered for every configuration."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from hessdiag.analysis import (
    bias,
    directions,
    edges,
    explanation,
    exponents,
    frontier,
    loss_terms,
    remedies,
    smoothness,
    variants,
)
from hessdiag.analysis.findings import Answer
from hessdiag.analysis.questions import Measured, measured

QUESTIONS: Mapping[str, tuple[Callable[[Measured], Answer], str]] = {
    "growth": (remedies.growth, "growth"),
    "published": (explanation.published, "predicted"),
    "optimiser": (explanation.optimiser, "predicted"),
    "rivals": (explanation.rivals, "predicted"),
    "hessian-cut": (remedies.hessian_cut, "growth"),
    "deflation": (remedies.deflation, "sources"),
    "edge": (edges.below_edge, "radii"),
    "chaos": (exponents.chaos, "exponents"),
    "directions": (directions.seen, "exponents"),
    "loss-term": (loss_terms.nearest_term, "loss-terms"),
    "memory-cut": (remedies.memory_cut, "growth"),
    "sources": (remedies.sources, "sources"),
    "mix": (remedies.mix, "growth"),
    "signal-to-noise": (remedies.signal_to_noise, "signal"),
    "predictive": (smoothness.predictive, "smoothness"),
    "frontier": (frontier.best_estimator, "frontier"),
    "remedy": (variants.ends_higher, "variants"),
    "reproduced": (remedies.reproduced, "published"),
    "slope": (bias.claimed, "errors"),
}
"""In their order: what answers them, and the figure that shows the answer."""


def verdict(
    tables: Mapping[str, pd.DataFrame], configurations: Sequence[str], *, confidence: float
) -> tuple[Answer, ...]:
    """What is decided of configurations, one after the other, from the tables of a study."""
    each = {name: measured(tables, name, confidence=confidence) for name in configurations}
    told = (
        (ask(of), question, name, figure)
        for name, of in each.items()
        for question, (ask, figure) in QUESTIONS.items()
    )
    return tuple(
        dataclasses.replace(
            answer, question=question, configuration=name, figure=answer.figure or figure
        )
        for answer, question, name, figure in told
    )
