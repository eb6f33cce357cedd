"""What the committed studies say, by their own intervals."""

import csv
import itertools
import json
import re
from pathlib import Path

import pytest

REPORTS = Path(__file__).parents[1] / "reports"
EVEN, ODD = "even discounts", "odd discounts"


def rows(study: str, file: str, **wanted: str) -> list[dict[str, str]]:
    with (REPORTS / study / file).open() as opened:
        found = list(csv.DictReader(opened))
    return [row for row in found if all(row[key] == value for key, value in wanted.items())]


def test_the_command_beside_a_report_is_the_one_that_made_it():
    listed = (REPORTS / "README.md").read_text()
    commands = dict(re.findall(r"^\| \[`([\w-]+)`\].*?\| `(hessdiag [^`]+)` \|", listed, re.M))
    assert len(commands) == len(list(REPORTS.glob("*/report.html")))
    for name, command in commands.items():
        made = REPORTS / name / ("study.json" if "study" in command else "config.json")
        assert json.loads(made.read_text())["provenance"]["command"] == command


def interval(row: dict[str, str], name: str) -> tuple[float, float]:
    return float(row[f"{name}_low"]), float(row[f"{name}_high"])


def assert_falls(intervals: list[tuple[float, float]]) -> None:
    """Each interval lies wholly below the one before."""
    for (low, _), (_, high) in itertools.pairwise(intervals):
        assert high < low


def final(series: str) -> list[tuple[float, float]]:
    """At the end of training with n = 1, 5, 10."""
    found = {row["n"]: row for row in rows("fig4", "tables/final.csv", series=series)}
    assert all(row["seeds"] == "5" for row in found.values())
    return [interval(found[n], "final") for n in ("1", "5", "10")]


def test_even_discounts_rise():
    """From 0.5 towards one."""
    assert all(low > 0.9 for low, _ in final(EVEN))


def test_even_discounts_rise_faster_with_larger_n():
    """All through training by their means; at no single time by the intervals of five seeds."""
    tables = json.loads((REPORTS / "fig4" / "results.json").read_text())["tables"]
    curves = {
        n: [
            row["mean"]
            for row in tables["learning"]
            if (row["series"], row["configuration"]) == (EVEN, f"n={n}")
        ]
        for n in (1, 5, 10)
    }
    assert {len(curve) for curve in curves.values()} == {120}
    assert all(one < five < ten for one, five, ten in zip(*curves.values(), strict=True))


def test_odd_discounts_fall_faster_with_larger_n():
    ends = final(ODD)
    assert_falls([(0.5, 0.5), *ends])


def test_the_loss_is_lower_with_larger_n():
    assert_falls(final("inner loss"))


def averaged(estimator: str, horizon: int, group: str) -> dict[str, str]:
    """Over training, of a group of discounts."""
    wanted = {"estimator": estimator, "horizon": str(horizon), "group": group}
    (row,) = rows("fig5", "figures/bias-and-deviation.csv", **wanted)
    assert (row["count"], row["over"]) == ("5", "seeds")
    return row


@pytest.mark.parametrize(("group", "horizons"), [(EVEN, (1, 10, 20)), (ODD, (5, 10))])
def test_bias_falls_with_n(group, horizons):
    """Horizons far enough apart for five seeds; that of the longest is zero by definition."""
    assert_falls([interval(averaged("n-step", n, group), "bias") for n in horizons])
    values = [float(averaged("n-step", n, group)["bias"]) for n in (5, 10, 15, 20, 30)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(("group", "horizons"), [(EVEN, (20, 10, 5, 2, 1)), (ODD, (10, 3, 1))])
def test_std_rises_with_n(group, horizons):
    """Horizons far enough apart for five seeds; beyond twenty steps it hardly rises any more."""
    assert_falls([interval(averaged("n-step", n, group), "std") for n in horizons])
    values = [float(averaged("n-step", n, group)["std"]) for n in (1, 2, 3, 5, 10, 20, 40)]
    assert values == sorted(values)


@pytest.mark.parametrize("group", [EVEN, ODD])
@pytest.mark.parametrize("n", [3, 5, 10, 20, 40])
def test_mixes_have_less_std_and_more_bias(n, group):
    steps, mix = averaged("n-step", n, group), averaged("mix", n, group)
    assert_falls([interval(steps, "std"), interval(mix, "std")])
    assert float(mix["bias"]) > float(steps["bias"])


def test_the_monte_carlo_floor_is_well_below_the_bias():
    """That of K = 2048, up to ten steps: what is left after it is taken off is no noise."""
    for n in range(1, 11):
        row = averaged("n-step", n, EVEN)
        assert 0 < float(row["bias_floor"]) < 0.2 * float(row["bias"])


def growths() -> list[dict]:
    """Standard deviations over that of one step on Snake, where table 1 of the paper has them."""
    tables = json.loads((REPORTS / "table1" / "results.json").read_text())["tables"]
    return [
        row
        for row in tables["spread"]
        if row.get("when") == "all" and row["horizon"] > 1 and row.get("published")
    ]


@pytest.mark.parametrize("horizon", [3, 5, 10])
def test_snakes_growth_is_the_published_one_in_training_with_ten_steps(horizon):
    wanted = {"configuration": "estimator=n-step n=10", "estimator": "n-step", "horizon": horizon}
    (row,) = [row for row in growths() if row.items() >= wanted.items()]
    low, high = interval(row, "growth")
    assert low < row["published"] < high < 2.1 * row["growth"]


def test_snakes_growth_agrees_with_the_published_one_in_all_training():
    """Our 95 % interval meets theirs of one standard deviation over seeds, mixes included."""
    assert len(growths()) == 22
    for row in growths():
        low, high = interval(row, "growth")
        assert high / low < 4.0  # narrow enough for that to mean something
        assert low < row["published"] + row["published_deviation"]
        assert high > row["published"] - row["published_deviation"]
