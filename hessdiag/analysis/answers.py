"""The questions that a mechanism study settles, answered from its rows; nothing is hand-written."""

from collections.abc import Sequence
from typing import Any

from hessdiag.analysis.advice import advice
from hessdiag.analysis.configuration import Configuration
from hessdiag.analysis.explanation_answer import explanation
from hessdiag.analysis.mechanism_answer import mechanism
from hessdiag.analysis.mixing_answer import mixing


def answers(configurations: Sequence[Configuration]) -> list[dict[str, Any]]:
    """Every question with its answers, a sentence each, and the figures that show them."""
    asked = (
        (
            "Does the published explanation hold?",
            explanation,
            ("curvature", "calibration"),
        ),
        (
            "What does, and how much of the growth does each cut remove?",
            mechanism,
            ("cuts", "sources", "terms", "calibration"),
        ),
        ("What does mixing do?", mixing, ("mixing",)),
        ("What should a practitioner change?", advice, ("signal", "cuts", "sources")),
    )
    made = []
    for question, answer, figures in asked:
        parts = [{"configuration": one.name, "sentences": [*answer(one)]} for one in configurations]
        parts = [part for part in parts if part["sentences"]]
        if parts:
            made.append({"question": question, "parts": parts, "figures": [*figures]})
    return made
