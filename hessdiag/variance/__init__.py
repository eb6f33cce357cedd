"""Batches of meta-gradients: their spread, what explains it, and what can be said."""

from hessdiag.variance.bootstrap import Interval, bca_interval
from hessdiag.variance.correlation import Correlation, rank_correlation
from hessdiag.variance.explanations import EXPLANATIONS, Evidence, predictions
from hessdiag.variance.growth import Spread, measure_spread, mixed
from hessdiag.variance.verdict import correlations, finding

__all__ = [
    "EXPLANATIONS",
    "Correlation",
    "Evidence",
    "Interval",
    "Spread",
    "bca_interval",
    "correlations",
    "finding",
    "measure_spread",
    "mixed",
    "predictions",
    "rank_correlation",
]
