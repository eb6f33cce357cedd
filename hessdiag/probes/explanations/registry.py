"""All explanations of the growth, by label: a file and an entry each, and the user's own."""

from collections.abc import Mapping, Sequence

import numpy as np

from hessdiag.errors import UsageError
from hessdiag.probes.explanations.accumulation import accumulation
from hessdiag.probes.explanations.evidence import Evidence, Explanation
from hessdiag.probes.explanations.memory import memory
from hessdiag.probes.explanations.products import product_norms
from hessdiag.probes.explanations.radius import operator_radius, spectral_radius
from hessdiag.probes.explanations.transient import transient
from hessdiag.probes.explanations.validation import validation_noise
from hessdiag.problems import callable_at
from hessdiag.statistics.bootstrap import Interval

FLAG = "probe.explanations"

EXPLANATIONS: dict[str, Explanation] = {
    "E1 spectral radius": spectral_radius,
    "E1 spectral radius, preconditioned": operator_radius("preconditioned"),
    "E1 spectral radius, update": operator_radius("update"),
    "E1 spectral radius, augmented": operator_radius("augmented"),
    "E2 products, paper": product_norms("paper"),
    "E2 products, preconditioned": product_norms("preconditioned"),
    "E3 accumulation, coherent": accumulation(coherent=True),
    "E3 accumulation, incoherent": accumulation(coherent=False),
    "E4 optimiser memory, coherent": memory(coherent=True),
    "E4 optimiser memory, incoherent": memory(coherent=False),
    "E5 transient growth, coherent": transient(coherent=True),
    "E5 transient growth, incoherent": transient(coherent=False),
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
    predicted = {
        label: explain(evidence) for label, explain in (EXPLANATIONS | dict(more or {})).items()
    }
    return {label: interval for label, interval in predicted.items() if interval is not None}


def explanations_at(paths: Sequence[str]) -> dict[str, Explanation]:
    """The user's explanations by label: the attribute `label` of each function, or its name.

    Args:
        paths: ``module:function`` of each, importable from the current directory.

    Raises:
        UsageError: one cannot be imported, or two would have the same label.
    """
    explanations: dict[str, Explanation] = {}
    for path in paths:
        explain = callable_at(path, flag=FLAG)
        label = str(getattr(explain, "label", path.partition(":")[2]))
        if label in EXPLANATIONS or label in explanations:
            raise UsageError(
                f"{FLAG}: the label {label!r} of {path!r} is taken; allowed: a label of its own"
            )
        explanations[label] = _guarded(label, explain)
    return explanations


def _guarded(label: str, explain: Explanation) -> Explanation:
    """NaN where it does not apply, so that all probes have a row for it; errors in one line."""

    def guarded(evidence: Evidence) -> Interval:
        try:
            predicted = explain(evidence)
            ends = (np.full(evidence.n, np.nan),) * 3 if predicted is None else predicted
            value, low, high = (np.asarray(end, dtype=np.float64) for end in ends)
        except Exception as error:  # whatever a user's function may raise
            raise UsageError(
                f"{FLAG}: {label!r} failed ({type(error).__name__}: {error})"
            ) from error
        for end in (value, low, high):
            if end.shape != (evidence.n,):
                raise UsageError(
                    f"{FLAG}: {label!r} made an array of shape {end.shape}; "
                    f"allowed: ({evidence.n},), a number per horizon"
                )
        return Interval(value, low, high)

    return guarded
