"""The figure of terms of the loss, from a table alone."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from hessdiag.report.figures import loss_terms
from hessdiag.report.figures.canvas import styled

TERMS = ["policy", "critic", "outer-critic"]


def with_terms(found, configurations):
    """The same findings with a table of terms, early and late; the last one has a term more."""
    rows = []
    for place, configuration in enumerate(configurations):
        own = [*TERMS[: 2 + (place == len(configurations) - 1)], "whole loss"]
        for when in ("early", "late", "all"):
            for k, term in enumerate(own):
                ends = {"lowest": -0.1 * (k + 1), "lowest_error": 0.01}
                ends |= {"highest": 0.3 * (k + 1), "highest_error": 0.02}
                rows.append({"configuration": configuration, "when": when, "term": term, **ends})
    return dataclasses.replace(found, tables={"loss terms": pd.DataFrame(rows)})


@pytest.mark.parametrize("number", [1, 3])
def test_a_panel_per_third_and_the_whole_loss_last(found, number):
    spec = loss_terms.ends(with_terms(found, found.configurations[:number]))
    assert spec is not None
    assert spec.slug == "loss-terms"
    assert {row["when"] for row in spec.rows} == {"early", "late"}
    with styled(spec.slug):
        axes = spec.draw().axes
    assert len(axes) == 2
    labels = [[text.get_text() for text in axis.get_yticklabels()] for axis in axes]
    assert labels == [[*TERMS, "whole loss"]] * 2
    drawn = np.concatenate([line.get_xdata() for line in axes[0].lines])
    for k in range(2 + 1):
        assert np.any(np.isclose(drawn, -0.1 * (k + 1)))
        assert np.any(np.isclose(drawn, 0.3 * (k + 1)))
    low, high = axes[0].get_xlim()
    assert low < -0.1 * 4
    assert high > 0.3 * 4


def test_it_is_not_there_without_the_measurement(found):
    assert loss_terms.ends(dataclasses.replace(found, tables={})) is None
