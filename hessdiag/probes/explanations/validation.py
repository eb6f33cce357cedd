"""E6: validation noise."""

from hessdiag.probes.explanations.evidence import Evidence, exact
from hessdiag.statistics.bootstrap import Interval
from hessdiag.statistics.growth import mean_defined, std_ratio


def validation_noise(evidence: Evidence) -> Interval | None:
    """E6: the spread of T^(i) alone, against a sensitivity that stays what it is after one step.

    This reading of validation noise is ours. The spread is over everything random, and so holds
    what inner trajectories do to T by moving θ^(i); the share that validation has of the variance,
    measured beside it by nested sampling, is not multiplied in. Samples are others than those of
    the meta-gradients whose growth it predicts, so that no noise in common favours it.
    """
    if evidence.outer_std is None:
        return None
    return exact(mean_defined(std_ratio(evidence.outer_std), axis=1))
