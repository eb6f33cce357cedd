"""The figure of variants, from a table alone."""

import dataclasses

import numpy as np
import pandas as pd

from hessdiag.report.figures import variants
from hessdiag.report.figures.canvas import styled
from hessdiag.report.figures.registry import specs

NAN = np.nan
ENDS = {"n-step": (20.0, NAN, 1.0), "mix 0.8": (25.0, 5.0, 0.4), "smaller b1": (18.0, -2.0, NAN)}


def with_variants(found, *, noise=True):
    """The same findings with a table of three variants."""
    rows = []
    for name, numbers in ENDS.items():
        row = {"configuration": f"variant={name}", "variant": name, "series": "return"}
        for key, value in zip(("final", "difference", "noise"), numbers, strict=True):
            value = value if noise or key != "noise" else NAN
            row |= {key: value, f"{key}_low": value * 0.9, f"{key}_high": value * 1.1}
        rows.append(row)
    return dataclasses.replace(found, tables={"variants": pd.DataFrame(rows)})


def test_a_row_per_variant_and_a_panel_of_what_is_known(found):
    for noise in (True, False):
        spec = variants.variants(with_variants(found, noise=noise))
        assert spec is not None
        with styled(spec.slug):
            axes = spec.draw().axes
        assert len(axes) == 2 + noise
        assert [len(axis.get_yticklabels()) for axis in axes] == [len(ENDS)] * len(axes)
        for axis, place in zip(axes, range(3), strict=False):
            drawn = np.asarray(axis.lines[0].get_xdata(), float)
            np.testing.assert_allclose(drawn, [numbers[place] for numbers in ENDS.values()])


def test_it_stands_first_and_only_where_there_are_variants(found):
    assert specs(with_variants(found))[0].slug == "variants"
    assert "variants" not in {spec.slug for spec in specs(found)}
