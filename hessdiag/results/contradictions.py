"""Where cuts contradict an explanation: what it presumes, or how much it says that a path makes."""

from collections.abc import Iterator

import numpy as np

from hessdiag.results.configuration import Configuration, find
from hessdiag.results.moments import ALL
from hessdiag.results.words import percent

MATTERS = 0.1  # share of the log-growth beyond which a path does play a part
PRESUMED = {  # by how an explanation's name begins, the paths that it says play no part
    "E3": ("no-hessian", "no-memory"),
    "E4": ("no-hessian",),
}
CUT = {"no-hessian": "the Hessian path", "no-memory": "the optimiser's memory"}


def contradictions(label: str, of: Configuration) -> Iterator[str]:
    """What the cuts say against an explanation, a sentence each: then its size is a coincidence.

    Args:
        label: of the explanation.
        of: what was measured.
    """
    for cut in PRESUMED.get(label[:2], ()):
        row = find(of.cuts, when=ALL, cut=cut)
        if row is not None and (row["removed_low"] > MATTERS or row["removed_high"] < -MATTERS):
            yield _sentence(label, f"{CUT[cut]} plays no part", percent(row, "removed"))
    row = find(of.cuts, when=ALL, cut="no-hessian")
    if row is not None and label[:2] in ("E1", "E2"):
        share = _beyond_the_number_of_terms(label, of)
        if share - row["removed_high"] > MATTERS:
            says = f"the Hessian path makes {100 * share:.0f} % of the log-growth"
            yield _sentence(label, says, percent(row, "removed"))


def _beyond_the_number_of_terms(label: str, of: Configuration) -> float:
    """The share of the predicted log-growth at the longest horizon that n terms alone do not make.

    Without the Hessian every radius is one, of the augmented operator, too: its memory decays.
    """
    predicted = of.evidence.predicted[label][:, -1]
    return float(np.median(1.0 - np.log(of.evidence.horizons[-1]) / np.log(predicted)))


def _sentence(label: str, says: str, removed: str) -> str:
    return (
        f"{label} has it that {says}; cutting it removes {removed} of the log-growth, so that its "
        "size is no proof of its mechanism."
    )
