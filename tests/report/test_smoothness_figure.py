"""The figure of signs that agree, drawn from the rows of the table alone."""

import dataclasses

import numpy as np
import pandas as pd

from hessdiag.report.figures.smoothness import agreement
from tests.analysis.building import ends

RESPONSES = ("held trajectories", "own trajectories")


def with_rows(found, codes):
    held = [
        {"configuration": code, "when": when, "response": response, "horizon": n, "group": "all"}
        | ends("agree", 0.2 * n)
        | ends("disagree", 0.1)
        | {"over": "seeds", "count": 3}
        for code in codes
        for when in ("early", "all")
        for response in RESPONSES
        for n in (1, 2, 3)
    ]
    return dataclasses.replace(
        found, tables=dict(found.tables) | {"smoothness": pd.DataFrame(held)}
    )


def test_one_configuration_is_shown_by_horizon(found):
    spec = agreement(with_rows(found, found.configurations[:1]))
    assert spec is not None
    assert len(spec.rows) == len(RESPONSES) * 3
    axes = spec.draw().axes
    assert [axis.get_title() for axis in axes] == ["Held trajectories", "Own trajectories"]
    line = axes[0].get_lines()[0]
    assert np.asarray(line.get_ydata()).tolist() == [0.2, 0.4, 0.2 * 3]


def test_several_are_side_by_side_at_their_longest_horizon(found):
    spec = agreement(with_rows(found, found.configurations))
    assert spec is not None
    first = spec.draw().axes[0]
    assert len(first.get_yticklabels()) == len(found.configurations)
    assert np.asarray(first.get_lines()[0].get_xdata()).tolist() == [0.2 * 3] * len(
        found.configurations
    )


def test_what_was_not_measured_has_no_figure(found):
    assert agreement(found) is None
