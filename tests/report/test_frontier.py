"""The figure of the frontier of estimators, from its table."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from hessdiag.report import names
from hessdiag.report.figures.frontier import frontier

CANDIDATES = {  # standard deviation and bias
    "n-step": (1.0, 0.0),
    "last 1": (0.3, 0.4),
    "last 2": (0.6, 0.1),
    "mix 0.5": (0.5, 0.2),
    "trace 0.9": (1.3, 0.05),
    "no-memory": (0.8, 0.01),
    "es 0.1": (9.0, 1.4),
    "validations 8": (0.7, 0.0),
}


def a_table(configuration: str) -> pd.DataFrame:
    rows = []
    for candidate, (std, bias) in CANDIDATES.items():
        row = {"configuration": configuration, "when": "all", "candidate": candidate}
        row |= {"over": "seeds", "count": 3, "rollouts": 6}
        for name, value in {"noise": std, "bias": bias, "rmse": np.hypot(std, bias)}.items():
            row |= {name: value, f"{name}_low": 0.9 * value, f"{name}_high": 1.1 * value}
        rows.append(row)
    return pd.DataFrame(rows)


def shown(found, *tables: pd.DataFrame):
    table = pd.concat(tables) if tables else pd.DataFrame()
    return frontier(dataclasses.replace(found, tables={**found.tables, "frontier": table}))


def test_every_configuration_has_a_panel_and_every_family_a_line(found):
    spec = shown(found, *map(a_table, found.configurations[:2]))
    assert spec is not None
    assert len(spec.caption.split()) <= 40
    assert len(spec.rows) == 2 * len(CANDIDATES)
    axes = spec.draw().axes
    assert len(axes) == 2
    labels = axes[0].get_legend_handles_labels()[1]
    assert len(labels) == 7
    (named,) = axes[0].texts
    assert named.get_text() == names.candidate("last 1")
    low, high = axes[0].get_xlim()
    assert low <= 0
    assert 1 < high < 2  # what is beyond is told, and not drawn
    assert sum("9.0×" in label for label in labels) == 1


def test_lines_of_truncations_and_of_draws_reach_the_n_step_estimate(found):
    spec = shown(found, a_table(found.configurations[0]))
    assert spec is not None
    lines = [np.array(line.get_xydata()) for line in spec.draw().axes[0].lines]
    (last,) = (line for line in lines if line.shape == (3, 2))  # last 1, last 2, n-step
    np.testing.assert_allclose(last[-1], (0.0, 1.0))


@pytest.mark.parametrize("tables", [(), (a_table("x").head(1),)])
def test_nothing_is_drawn_where_nothing_is_compared(found, tables):
    assert shown(found, *tables) is None


def test_names_of_candidates_are_for_people():
    assert names.candidate("last 3") == "last terms, k = 3"
    assert names.candidate("no-memory") == names.cut("no-memory")
    assert names.candidate("n-step") == "n-step"
    assert names.label("E3 accumulation, coherent") == names.explanation(
        "E3 accumulation, coherent"
    )
    assert "0.1" in names.label("es 0.1")
    assert names.label("last of them") == "last of them"
