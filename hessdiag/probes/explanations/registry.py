"""All explanations of the growth, by label. A new one is a file here and an entry in the table."""

from collections.abc import Mapping

from hessdiag.probes.explanations.accumulation import (
    accumulation_coherent,
    accumulation_incoherent,
)
from hessdiag.probes.explanations.evidence import Evidence, Explanation
from hessdiag.probes.explanations.memory import memory_coherent, memory_incoherent
from hessdiag.probes.explanations.products import product_norms
from hessdiag.probes.explanations.radius import operator_radius, spectral_radius
from hessdiag.probes.explanations.transient import transient_coherent, transient_incoherent
from hessdiag.probes.explanations.validation import validation_noise
from hessdiag.statistics.bootstrap import Interval

SPECTRAL = "E1 spectral radius"

EXPLANATIONS: dict[str, Explanation] = {
    SPECTRAL: spectral_radius,
    "E1 spectral radius, preconditioned": operator_radius("preconditioned"),
    "E1 spectral radius, update": operator_radius("update"),
    "E1 spectral radius, augmented": operator_radius("augmented"),
    "E2 products, paper": product_norms("paper"),
    "E2 products, preconditioned": product_norms("preconditioned"),
    "E3 accumulation, coherent": accumulation_coherent,
    "E3 accumulation, incoherent": accumulation_incoherent,
    "E4 optimiser memory, coherent": memory_coherent,
    "E4 optimiser memory, incoherent": memory_incoherent,
    "E5 transient growth, coherent": transient_coherent,
    "E5 transient growth, incoherent": transient_incoherent,
    "E6 validation noise": validation_noise,
}


def predictions(
    evidence: Evidence, more: Mapping[str, Explanation] | None = None
) -> dict[str, Interval]:
    """What every applicable explanation predicts, by label.

    Args:
        evidence: what was measured at a probe.
        more: explanations beside the built-in ones.
    """
    explanations = EXPLANATIONS | dict(more or {})
    made = {label: explain(evidence) for label, explain in explanations.items()}
    return {label: prediction for label, prediction in made.items() if prediction is not None}
