"""Statistics of batches of meta-gradients, with intervals. NumPy alone."""

from hessdiag.statistics.bootstrap import Interval, bca_interval, bca_interval_of_moments
from hessdiag.statistics.candidates import Candidate, Parts, candidates, mixing_weights
from hessdiag.statistics.cuts import Coherence, CutGrowth, coherence, cut_growth
from hessdiag.statistics.estimates import Estimate, errors
from hessdiag.statistics.growth import (
    Bias,
    Spread,
    bias_to,
    mean_defined,
    measure_spread,
    mixed,
    squared_bias,
)
from hessdiag.statistics.mixing import mix_weights, mixed_growth
from hessdiag.statistics.nested import Shares, nested_shares, share_of_draws
from hessdiag.statistics.slopes import power_law

__all__ = [
    "Bias",
    "Candidate",
    "Coherence",
    "CutGrowth",
    "Estimate",
    "Interval",
    "Parts",
    "Shares",
    "Spread",
    "bca_interval",
    "bca_interval_of_moments",
    "bias_to",
    "candidates",
    "coherence",
    "cut_growth",
    "errors",
    "mean_defined",
    "measure_spread",
    "mix_weights",
    "mixed",
    "mixed_growth",
    "mixing_weights",
    "nested_shares",
    "power_law",
    "share_of_draws",
    "squared_bias",
]
