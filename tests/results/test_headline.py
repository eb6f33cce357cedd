"""The table that `hessdiag show` prints of a study."""

from pathlib import Path
from typing import Any

from hessdiag.report.studies import StudyData, headline_table


def study(final: list[dict[str, Any]], spread: list[dict[str, Any]]) -> StudyData:
    return StudyData(Path(), {}, {"tables": {"final": final, "spread": spread}})


def end(configuration: str, series: str, value: float, **more: float) -> dict[str, Any]:
    row = {"configuration": configuration, "series": series, "final": value, "deviation": 0.5}
    return row | more


def growth(configuration: str, estimator: str, horizon: int, **more: Any) -> dict[str, Any]:
    row = {"configuration": configuration, "when": "all", "group": "all", "estimator": estimator}
    ends = {"growth": 2.0 * horizon, "growth_low": 1.0 * horizon, "growth_high": 4.0 * horizon}
    return row | {"horizon": horizon} | ends | more


def test_the_longest_horizon_of_every_estimator():
    spread = [growth("n=5", name, horizon) for name in ("n-step", "mix") for horizon in (1, 5, 3)]
    other = [growth("n=5", "n-step", 9, when="late"), growth("n=5", "n-step", 9, group="weights")]
    table = headline_table(study([end("n=5", "return", 4.0)], [*spread, *other]))
    assert table.columns == ("configuration", "quantity", "measured")
    assert table.rows == [
        ("n=5", "final return", "4.00 (0.50)"),
        ("", "growth, n-step, n=5", "10.0 [5.00, 20.0]"),
        ("", "growth, mix, n=5", "10.0 [5.00, 20.0]"),
    ]


def test_published_values_stand_beside_ours():
    published = {"published": 67.0, "published_deviation": 3.0}
    final = [end("n=0", "return", 4.0, **published), end("n=1", "return", 3.0)]
    table = headline_table(study(final, [growth("n=1", "n-step", 1)]))
    assert table.columns[-1] == "published"
    assert table.rows == [
        ("n=0", "final return", "4.00 (0.50)", "67.0 (3.0)"),
        ("n=1", "final return", "3.00 (0.50)", "–"),
    ]


def test_only_the_first_metric_and_a_name_for_a_single_configuration():
    table = headline_table(study([end("", "return", 4.0), end("", "inner loss", 1.0)], []))
    assert table.rows == [("all runs", "final return", "4.00 (0.50)")]


def test_nothing_measured_yet():
    assert headline_table(study([], [])).rows == []
