"""The table that opens a study's report, and that `hessdiag show` prints."""

import math
from pathlib import Path
from typing import Any

from hessdiag.report.studies import StudyData, headline_table


def study(**tables: list[dict[str, Any]]) -> StudyData:
    return StudyData(Path(), {}, {"tables": tables})


def end(configuration: str, series: str, value: float, **more: float) -> dict[str, Any]:
    row = {"configuration": configuration, "series": series, "final": value, "deviation": 0.5}
    return row | more


def measured(configuration: str, name: str, value: float, **more: Any) -> dict[str, Any]:
    """A row of all of training, its interval from half to twice the value."""
    low, high = sorted((0.5 * value, 2.0 * value))
    numbers = {name: value, f"{name}_low": low, f"{name}_high": high}
    return {"configuration": configuration, "when": "all", "group": "all"} | numbers | more


def growth(configuration: str, estimator: str, horizon: int, **more: Any) -> dict[str, Any]:
    value = 2.0 * horizon
    return measured(configuration, "growth", value, estimator=estimator, horizon=horizon, **more)


def test_the_longest_horizon_of_every_estimator():
    spread = [growth("n=5", name, horizon) for name in ("n-step", "mix") for horizon in (1, 5, 3)]
    other = [growth("n=5", "n-step", 9, when="late"), growth("n=5", "n-step", 9, group="weights")]
    table = headline_table(study(final=[end("n=5", "return", 4.0)], spread=[*spread, *other]))
    assert table.columns == ("n", "5")
    assert table.rows == [
        ("return at the end", "4.00 (0.50)"),
        ("growth, n-step, n=5", "10.0 [5.00, 20.0]"),
        ("growth, mix, n=5", "10.0 [5.00, 20.0]"),
    ]


def test_configurations_stand_beside_one_another_and_published_values_below():
    final = [
        end("n=0", "return", 4.0, published=67.0, published_deviation=3.0),
        end("n=1", "return", 3.0),
    ]
    table = headline_table(study(final=final, spread=[growth("n=1", "n-step", 1)]))
    assert table.columns == ("n", "0", "1")
    assert table.rows == [
        ("return at the end", "4.00 (0.50)", "3.00 (0.50)"),
        ("return at the end, published", "67.0 (3.0)", "–"),
    ]


def test_what_the_noise_comes_from():
    name = "optimiser=adam"
    radius = {"configuration": name, "when": "all", "quantity": "spectral radius"}
    sizes = {"largest": 0.0069, "largest_error": 0.0001}
    table = headline_table(
        study(
            final=[end(name, "return", 4.0)],
            curvature=[
                radius | sizes | {"operator": "paper, I + H"},
                radius | {"operator": "augmented"},
            ],
            cuts=[
                measured(name, "removed", 0.0, cut="full"),
                measured(name, "removed", 0.481, cut="no-memory"),
                measured(name, "removed", -0.04, cut="no-hessian"),
            ],
            sources=[
                measured(name, "share", 0.999, source="validation trajectories"),
                measured(name, "share", 0.2, source="coherence of the terms"),
            ],
            sensitivity=[measured(name, "growth", 8.2)],
        )
    )
    assert table.rows[1:] == [
        ("growth, ‖∂θ/∂η‖", "8.20 [4.10, 16.4]"),
        ("largest ρ(I + H) − 1", "0.00690 ± 0.00010"),
        ("removed, no-memory (%)", "48 [24, 96]"),
        ("removed, no-hessian (%)", "−4 [−8, −2]"),
        ("from validation trajectories (%)", "100 [50, 200]"),
    ]


def test_shares_without_an_interval_or_with_an_endless_one():
    """As of one seed, or of two that differ much."""
    shares = [(None, None), (-math.inf, math.inf), (math.nan, math.nan)]
    cuts = [
        measured("", "removed", 0.481, cut=cut) | {"removed_low": low, "removed_high": high}
        for cut, (low, high) in zip("abc", shares, strict=True)
    ]
    table = headline_table(study(final=[end("", "return", 4.0)], cuts=cuts))
    assert [row[1] for row in table.rows[1:]] == ["48", "48 [−∞, ∞]", "48 [–, –]"]


def test_many_configurations_stand_below_one_another():
    names = [f"estimator=mix n={n}" for n in (1, 3, 5, 7, 10)]
    final = [end(name, "return", 4.0) for name in names]
    table = headline_table(study(final=final, spread=[growth(names[1], "mix", 3)]))
    assert table.columns == ("configuration", "quantity", "value")
    assert table.rows[:3] == [
        (names[0], "return at the end", "4.00 (0.50)"),
        (names[1], "return at the end", "4.00 (0.50)"),
        ("", "growth, mix, n=3", "6.00 [3.00, 12.0]"),
    ]


def test_only_the_first_metric_and_a_name_for_a_single_configuration():
    table = headline_table(study(final=[end("", "return", 4.0), end("", "inner loss", 1.0)]))
    assert table.columns == ("configuration", "all runs")
    assert table.rows == [("return at the end", "4.00 (0.50)")]


def test_nothing_measured_yet():
    assert headline_table(study()).rows == []
