"""E6: validation noise."""

from hessdiag.probes.explanations.evidence import Evidence, exact
from hessdiag.statistics.bootstrap import Interval
from hessdiag.statistics.defined import mean_defined
from hessdiag.statistics.growth import std_ratio


def validation_noise(evidence: Evidence) -> Interval | None:
    """E6: the spread of T^(i) alone, against a sensitivity that stays what it is after one step.

    The spread is over everything random, and so holds what inner trajectories do to T by moving
    θ^(i), besides what its validation trajectories do. The share of the variance that validation
    contributes is measured beside it, by nested sampling, and not multiplied in: the whole spread
    of T already has what such a factor would add. This reading of validation noise is ours.
    A probe draws other samples for it than those of the meta-gradients whose growth it predicts,
    so that no noise in common favours it.
    """
    if evidence.outer_std is None:
        return None
    return exact(mean_defined(std_ratio(evidence.outer_std), axis=1))
