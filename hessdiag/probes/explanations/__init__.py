"""What explanations predict for the growth of the meta-gradient's standard deviation."""

from hessdiag.probes.explanations.evidence import Evidence, Explanation, Radii
from hessdiag.probes.explanations.registry import EXPLANATIONS, explanations_at, predictions

__all__ = ["EXPLANATIONS", "Evidence", "Explanation", "Radii", "explanations_at", "predictions"]
