"""What explanations predict for the growth of the meta-gradient's standard deviation."""

from hessdiag.probes.explanations.evidence import Evidence, Explanation, Radii
from hessdiag.probes.explanations.own import explanations_at
from hessdiag.probes.explanations.registry import EXPLANATIONS, SPECTRAL, predictions

__all__ = [
    "EXPLANATIONS",
    "SPECTRAL",
    "Evidence",
    "Explanation",
    "Radii",
    "explanations_at",
    "predictions",
]
