"""Batches of meta-gradients: their spread, what explains it, and what can be said."""

from hessdiag.variance.bias import Bias, bias_to, squared_bias
from hessdiag.variance.bootstrap import Interval, bca_interval, bca_interval_of_moments
from hessdiag.variance.contest import Contest, Standing, contest
from hessdiag.variance.correlation import Correlation, rank_correlation
from hessdiag.variance.cuts import Coherence, CutGrowth, coherence, cut_growth
from hessdiag.variance.defined import mean_defined
from hessdiag.variance.explanations import (
    EXPLANATIONS,
    SPECTRAL,
    Evidence,
    Explanation,
    Radii,
    predictions,
)
from hessdiag.variance.fit import Fit, JointFit, fits
from hessdiag.variance.growth import Spread, measure_spread, mixed
from hessdiag.variance.mixing import mixed_growth
from hessdiag.variance.nested import Shares, nested_shares
from hessdiag.variance.own_explanations import explanations_at
from hessdiag.variance.verdict import correlations, finding

__all__ = [
    "EXPLANATIONS",
    "SPECTRAL",
    "Bias",
    "Coherence",
    "Contest",
    "Correlation",
    "CutGrowth",
    "Evidence",
    "Explanation",
    "Fit",
    "Interval",
    "JointFit",
    "Radii",
    "Shares",
    "Spread",
    "Standing",
    "bca_interval",
    "bca_interval_of_moments",
    "bias_to",
    "coherence",
    "contest",
    "correlations",
    "cut_growth",
    "explanations_at",
    "finding",
    "fits",
    "mean_defined",
    "measure_spread",
    "mixed",
    "mixed_growth",
    "nested_shares",
    "predictions",
    "rank_correlation",
    "squared_bias",
]
