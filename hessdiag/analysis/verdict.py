"""Every question, answered for every configuration."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from hessdiag.analysis import explanation, remedies
from hessdiag.analysis.findings import Answer
from hessdiag.analysis.questions import Measured, measured

QUESTIONS: Mapping[str, Callable[[Measured], Answer]] = {
    "growth": remedies.growth,
    "published": explanation.published,
    "optimiser": explanation.optimiser,
    "rivals": explanation.rivals,
    "hessian-cut": remedies.hessian_cut,
    "deflation": remedies.deflation,
    "memory-cut": remedies.memory_cut,
    "sources": remedies.sources,
    "mix": remedies.mix,
    "signal-to-noise": remedies.signal_to_noise,
    "reproduced": remedies.reproduced,
}


def verdict(
    tables: Mapping[str, pd.DataFrame], configurations: Sequence[str], *, confidence: float
) -> tuple[Answer, ...]:
    """What is decided, by configuration and question.

    Args:
        tables: of the study.
        configurations: their names.
        confidence: level of the intervals.
    """
    each = [measured(tables, name, confidence=confidence) for name in configurations]
    return tuple(ask(of) for of in each for ask in QUESTIONS.values())
