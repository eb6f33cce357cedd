"""What explanations predict for the growth of the meta-gradient's standard deviation."""

from hessdiag.probes.explanations.explanations import (
    EXPLANATIONS,
    SPECTRAL,
    Evidence,
    Explanation,
    Radii,
    predictions,
)
from hessdiag.probes.explanations.own import explanations_at

__all__ = [
    "EXPLANATIONS",
    "SPECTRAL",
    "Evidence",
    "Explanation",
    "Radii",
    "explanations_at",
    "predictions",
]
