"""What mixing does to the growth, measured and as the n-step meta-gradients let expect."""

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.average import columns, logs, over_seeds, table
from hessdiag.analysis.measured import Configuration
from hessdiag.statistics import mix_weights, mixed_growth


def mixing_table(of: Configuration) -> pd.DataFrame:
    """Growth of the mixes: measured, and from that of the n-step ones, independent or as one."""
    data = of.having("growth")
    if data is None:
        return pd.DataFrame()
    steps = data.growth.sel(estimator="n-step", drop=True)
    weights = weights_of(of, steps.sizes["horizon"])
    expected = [
        xr.apply_ufunc(
            lambda growth, coherent=coherent: mixed_growth(growth, weights, coherent=coherent),
            steps,
            input_core_dims=[["horizon"]],
            output_core_dims=[["horizon"]],
        )
        for coherent in (False, True)
    ]
    curves = [steps, data.growth.sel(estimator="mix", drop=True), *expected]
    names = pd.Index(["n-step", "mix", "mix if independent", "mix if coherent"], name="curve")
    average = over_seeds(of.by_phase(logs(xr.concat(curves, names))), confidence=of.confidence)
    rows = xr.merge([columns(average, "growth", np.exp), average[["over", "count"]]])
    return table(rows, "when", "curve", "horizon")


def weights_of(of: Configuration, n: int) -> list[np.ndarray]:
    """The weights of the i-mixes up to n, with the κ of these runs."""
    return [mix_weights(i, of.settings.get("kappa")) for i in range(1, n + 1)]
