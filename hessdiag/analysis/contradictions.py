"""Where cuts contradict an explanation: what it presumes, or how much it says that a path makes."""

from collections.abc import Mapping

import numpy as np

from hessdiag.analysis.comparisons import Evidence
from hessdiag.analysis.cuts import BOUNDED
from hessdiag.analysis.frames import Row

SPECTRAL = "E1 spectral radius"
MATTERS = 0.1  # share of the log-growth beyond which a path does play a part
PRESUMED = {  # by how an explanation's name begins, the paths that it says play no part
    "E3": ("no-hessian", "no-memory"),
    "E4": ("no-hessian",),
}
PAPERS = (SPECTRAL, "E2 products, paper")  # explanations by I + H itself


def contradictions(label: str, compared: Evidence, cuts: Mapping[str, Row]) -> tuple[str, ...]:
    """The cuts that speak against an explanation: then its size is a coincidence.

    Args:
        label: of the explanation.
        compared: its predictions and the measured growth.
        cuts: by cut, its row over all of training at the longest horizon.
    """
    against = [
        cut
        for cut in PRESUMED.get(label[:2], ())
        if cut in cuts
        and (cuts[cut]["removed_low"] > MATTERS or cuts[cut]["removed_high"] < -MATTERS)
    ]
    if label[:2] in ("E1", "E2"):
        against += _more_than_curvature_makes(label, compared, cuts)
    return tuple(against)


def _more_than_curvature_makes(
    label: str, compared: Evidence, cuts: Mapping[str, Row]
) -> list[str]:
    """The cuts of curvature, where none removes as much as an explanation says curvature makes.

    The whole Hessian amplifies in some directions and damps in others: cutting it may remove less
    than deflating its unstable eigenvalues alone does. These are those of I + H: of other
    operators the deflation says nothing.
    """
    named = ["no-hessian", BOUNDED] if label in PAPERS else ["no-hessian"]
    measured = [cut for cut in named if cut in cuts]
    share = _beyond_the_number_of_terms(label, compared)
    is_more = all(share - cuts[cut]["removed_high"] > MATTERS for cut in measured)
    return measured if is_more else []


def _beyond_the_number_of_terms(label: str, compared: Evidence) -> float:
    """The share of the predicted log-growth at the longest horizon that n terms alone do not make.

    Without the Hessian every radius is one, of the augmented operator, too: its memory decays.
    """
    predicted = compared.predicted[label][:, -1]
    return float(np.median(1.0 - np.log(compared.horizons[-1]) / np.log(predicted)))
