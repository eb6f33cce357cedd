"""How far training is from the optimiser's edge of stability."""

import numpy as np
import pandas as pd

from hessdiag.analysis.findings import FAILS, HOLDS, UNDECIDED, Answer, Quantity
from hessdiag.analysis.finite import largest, median
from hessdiag.analysis.measured import ALL, Configuration
from hessdiag.analysis.phases import PHASES
from hessdiag.analysis.questions import Measured, answer, exact


def edge_table(of: Configuration) -> pd.DataFrame:
    """Sharpness over the edge: median and largest of the probes; and that along batch gradients.

    The latter, g'Hg / g'g, is over the edge 2 / α of stochastic gradient descent (arXiv
    2412.20553), whatever the optimiser.
    """
    if "edge_share" not in of.probes or not np.isfinite(of.probes.edge_share).any():
        return pd.DataFrame()
    rows = []
    for when in (*PHASES, ALL):
        probes = of.probes.isel(probe=(of.probes.when == when) | (when == ALL))
        shares, errors = probes.edge_share.values.ravel(), probes.edge_share_error.values.ravel()
        if np.isfinite(shares).any():
            most, its_error = largest(shares, errors)
            row = {"when": when, "edge": median(probes.edge.values), "share": median(shares)}
            row |= {"largest": most, "largest_error": its_error, "spectra": int(shares.size)}
            rows.append(row | {"batch_share": median(probes.batch_sharpness.values) / 2})
    return pd.DataFrame(rows)


def below_edge(of: Measured) -> Answer:
    """Whether every probe lay surely below the edge."""
    for row in of.rows["edges"]:
        sharpest, error = row["largest"], row["largest_error"]
        low, high = sharpest - error, sharpest + error
        numbers = {
            "edge_of": exact(row["edge"]),
            "share_median": exact(row["share"]),
            "share": Quantity(sharpest, low, high, "bound", row["spectra"]),
        }
        if high < 1:
            return answer(HOLDS, "below", numbers=numbers)
        return answer(*((FAILS, "beyond") if low > 1 else (UNDECIDED, "overlaps")), numbers=numbers)
    return answer()
