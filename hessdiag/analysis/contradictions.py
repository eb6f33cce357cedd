"""Where cuts contradict an explanation: what it presumes, or how much it says that a path makes."""

from collections.abc import Iterator

import numpy as np

from hessdiag.analysis.configuration import Configuration, find
from hessdiag.analysis.mechanism import BOUNDED
from hessdiag.analysis.moments import ALL
from hessdiag.analysis.words import listed, percent
from hessdiag.probes.explanations import SPECTRAL

MATTERS = 0.1  # share of the log-growth beyond which a path does play a part
PRESUMED = {  # by how an explanation's name begins, the paths that it says play no part
    "E3": ("no-hessian", "no-memory"),
    "E4": ("no-hessian",),
}
PAPERS = (SPECTRAL, "E2 products, paper")  # explanations by I + H itself
CURVATURE = {
    "no-hessian": "with the Hessian path cut,",
    BOUNDED: "with the unstable eigenvalues found deflated,",
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
    if label[:2] in ("E1", "E2"):
        yield from _more_than_curvature_makes(label, of)


def _more_than_curvature_makes(label: str, of: Configuration) -> Iterator[str]:
    """Whether no cut of curvature removes as much as an explanation says that curvature makes.

    The whole Hessian amplifies in some directions and damps in others: cutting it may remove less
    than deflating its unstable eigenvalues alone does. These are those of I + H: of other
    operators the deflation says nothing.
    """
    cuts = [cut for cut in CURVATURE if cut != BOUNDED or label in PAPERS]
    rows = {cut: find(of.cuts, when=ALL, cut=cut) for cut in cuts}
    measured = {CURVATURE[cut]: row for cut, row in rows.items() if row is not None}
    if not measured:
        return
    share = _beyond_the_number_of_terms(label, of)
    if share - max(row["removed_high"] for row in measured.values()) > MATTERS:
        removed = listed(f"{what} {percent(row, 'removed')}" for what, row in measured.items())
        yield (
            f"{label} has it that curvature makes {100 * share:.0f} % of the log-growth; {removed} "
            "of it is what goes, so that its size is no proof of its mechanism."
        )


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
