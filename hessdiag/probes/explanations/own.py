"""Explanations of the user's own, found by name and guarded: their errors are said in one line."""

from collections.abc import Sequence

import numpy as np

from hessdiag.errors import UsageError
from hessdiag.probes.explanations.evidence import Evidence, Explanation
from hessdiag.probes.explanations.registry import EXPLANATIONS
from hessdiag.problems import callable_at
from hessdiag.statistics.bootstrap import Interval

FLAG = "probe.explanations"


def explanations_at(paths: Sequence[str]) -> dict[str, Explanation]:
    """Explanations by label: the attribute `label` of each function, or its name.

    Args:
        paths: ``module:function`` of each, importable from the current directory.

    Raises:
        UsageError: one cannot be imported, or two would have the same label.
    """
    found: dict[str, Explanation] = {}
    for path in paths:
        explain = callable_at(path, flag=FLAG)
        label = str(getattr(explain, "label", path.partition(":")[2]))
        if label in EXPLANATIONS or label in found:
            raise UsageError(
                f"{FLAG}: the label {label!r} of {path!r} is taken; allowed: a label of its own"
            )
        found[label] = _guarded(label, explain)
    return found


def _guarded(label: str, explain: Explanation) -> Explanation:
    """The explanation, with NaN where it does not apply: all probes have a row for it."""

    def guarded(evidence: Evidence) -> Interval:
        try:
            made = explain(evidence)
            ends = (np.full(evidence.n, np.nan),) * 3 if made is None else made
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
