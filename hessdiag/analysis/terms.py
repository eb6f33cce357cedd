"""The terms of eq. 11, one by one: their shares of the variance, and what their size is made of."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray

from hessdiag.analysis.average import logs, over_seeds
from hessdiag.analysis.cells import CellResult
from hessdiag.analysis.moments import phases
from hessdiag.statistics import mean_defined

SHARES = ("variance_share", "covariance_share", "step_share")
"""Of the variance: a term's own, its covariances, and what its step's trajectories do alone."""

SIZES = (
    *("outer_norm", "term_reach", "mixed_norm", "term_alignment"),
    *("path_norm", "path_alignment"),
    *("eq11_outer_norm", "eq11_mixed_norm", "eq11_alignment"),
)
"""What a term is the product of, as it is and as eq. 11 is printed, called as in the probes."""

PRODUCT = "eq11_product_norm_minus_one"

_AVERAGED: Mapping[str, Callable[[float], float]] = {  # from the mean of what is averaged
    **dict.fromkeys(SHARES, float),
    **dict.fromkeys(SIZES, math.exp),
    PRODUCT: math.expm1,
}

Read = Mapping[str, np.ndarray]  # (n,) by quantity, sizes as logarithms


def term_rows(
    name: str, results: Sequence[CellResult], *, confidence: float
) -> list[dict[str, Any]]:
    """A row per term i of the longest horizon n, which inner step n − i contributes.

    Shares are averaged as they are, sizes and alignments, without their sign, as logarithms; both
    over the meta-parameters first.

    Args:
        name: of the configuration.
        results: its cells.
        confidence: level of the intervals.
    """
    rows = []
    for when, chosen in phases(results):
        read = [[_read(probe) for probe in probes] for probes in chosen]
        place = {"configuration": name, **when}
        rows.extend(place | row for row in _rows(read, confidence))
    return rows


def _rows(read: Sequence[Sequence[Read]], confidence: float) -> Iterator[dict[str, Any]]:
    found = {name: values for seed in read for one in seed for name, values in one.items()}
    n = max((len(values) for values in found.values()), default=0)
    for term in range(1, n + 1):
        row: dict[str, Any] = {"horizon": n, "term": term, "inner_step": n - term}
        for name, transform in _AVERAGED.items():
            if name in found:
                at = [[one[name][n - term] for one in seed if name in one] for seed in read]
                average = over_seeds(at, confidence=confidence)
                row |= average.columns(name, transform)
                row |= {"over": average.over, "count": average.count}
        yield row


def _read(probe: xarray.Dataset) -> Read:
    """What a probe knows of the terms of its longest horizon, by inner step."""
    made: dict[str, np.ndarray] = {}
    if "step_share" in probe:
        made["step_share"] = probe.step_share.isel(horizon=-1).values
    if "term_covariance" in probe:
        made |= _parts_of_the_variance(probe.term_covariance.isel(cut_horizon=-1).values)
    if "term_reach" in probe:
        made |= {name: logs(size) for name, size in _factors(probe).items()}
    if "path_alignment" in probe:
        made |= {name: logs(size) for name, size in _worst_case(probe).items()}
    if "eq11_alignment" in probe:
        made |= {name: logs(size) for name, size in _printed_factors(probe).items()}
    return made


def _parts_of_the_variance(covariance: np.ndarray) -> Read:
    """From the covariances (n, n, m) of the terms; both parts of all terms together sum to one."""
    total = covariance.sum(axis=(0, 1))
    own = np.einsum("jjm->jm", covariance)
    of_all = np.where(total > 0, total, np.nan)  # a meta-parameter that never varies says nothing
    return {
        "variance_share": mean_defined(own / of_all, axis=-1),
        "covariance_share": mean_defined((covariance.sum(axis=1) - own) / of_all, axis=-1),
    }


def _factors(probe: xarray.Dataset) -> Read:
    at = probe.isel(cut_horizon=-1)
    return {
        "outer_norm": np.full(probe.sizes["inner_step"], float(at.outer_norm)),
        "term_reach": at.term_reach.values,
        "mixed_norm": at.mixed_norm.mean("meta_parameter").values,
        "term_alignment": abs(at.term_alignment).mean("meta_parameter").values,
    }


def _worst_case(probe: xarray.Dataset) -> Read:
    both = ("operator_unroll", "meta_parameter")
    return {
        "path_norm": probe.path_norm.mean("operator_unroll").values,
        "path_alignment": abs(probe.path_alignment).mean(both).values,
    }


def _printed_factors(probe: xarray.Dataset) -> Read:
    both = ("operator_unroll", "meta_parameter")
    outer = float(probe.eq11_outer_norm.mean())
    return {
        "eq11_outer_norm": np.full(probe.sizes["inner_step"], outer),
        PRODUCT: probe.eq11_product_norm.mean("operator_unroll").values,
        "eq11_mixed_norm": probe.eq11_mixed_norm.mean(both).values,
        "eq11_alignment": abs(probe.eq11_alignment).mean(both).values,
    }
