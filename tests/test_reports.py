"""What the committed studies say, by their own intervals."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hessdiag.analysis.frames import rows as rows_of
from hessdiag.record.run_directory import RunDirectory
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.report import names, words
from hessdiag.report.figures.registry import MOST, specs
from hessdiag.study.grid import Grid
from hessdiag.train.learner import Learner
from hessdiag.train.seed_run import Observer, SeedRun
from tests.report.conftest import found_in as read

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "reports"
LISTED = (REPORTS / "README.md").read_text()
EVEN, ODD = "even discounts", "odd discounts"


def rows(study: str, table: str, **wanted: Any) -> list[dict[str, Any]]:
    return rows_of(read(study).tables[table], **wanted)


def kept() -> set[str]:
    """The reports that git keeps; what else a user makes there is no matter of tests."""
    asked = ["git", "-C", str(ROOT), "ls-files", "reports/*/report.html"]
    try:
        listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        listed = []
    return {Path(file).parent.name for file in listed} or set(commands())


def commands() -> dict[str, str]:
    return dict(re.findall(r"^\| \[`([\w-]+)`\].*?\| `(hessdiag [^`]+)` \|", LISTED, re.M))


def test_the_command_beside_a_report_is_the_one_that_made_it():
    assert commands().keys() == kept()
    for name, command in commands().items():
        assert read(name).provenance["command"] == command
        assert read(name).kind == ("study" if " study " in command else "run")


def under_way() -> dict[str, str]:
    return dict(re.findall(r"^\| `([\w-]+)`.*?\| `(hessdiag [^`]+)` \|", LISTED, re.M))


@pytest.mark.parametrize("name", under_way())
def test_a_training_under_way_goes_on_from_its_last_checkpoints(name, tmp_path):
    assert under_way()[name].startswith(f"hessdiag study --resume reports/{name} ")
    study = StudyDirectory.open(shutil.copytree(REPORTS / name, tmp_path / name))
    for cell in Grid(*study.plan).cells():
        run = SeedRun(cell.settings, RunDirectory.open(study.run_path(cell)), Observer())
        last = max(run.checkpoints.kept())
        assert run.saved() == [last]
        assert run.begin(Learner(cell.settings), last)
        run.checkpoints.close()


HEADLINES = {
    "mechanism": "growth",
    "mechanism-6x6": "growth",
    "mechanism-long": "growth",
    "mechanism-mrp": "growth",
    "table1": "growth",
    "fig5": "growth",
    "fig4": "learning",
    "fig3": "published",
    "snake-n5": "growth",
    "lsf": "errors",
    "gmrl-bias": "errors",
    "lirpg": "errors",
    "lirpg-growth": "growth",
    "across": "growth",
    "lola": "errors",
    "minatar": "learning",
    "outer-critic": "learning",
    "outer-critic-normalised": "learning",
    "outer-critic-snake": "learning",
}


def test_trainings_that_stop_early_say_how_far_published_curves_were_followed():
    reached = {"outer-critic-snake": {"reached": "2,920 of 29,200"}, "outer-critic": {}}
    for name, labels in reached.items():
        told = words.reproduced(read(name))
        assert told is not None
        assert told.labels == labels


def test_problems_whose_returns_do_not_compare_have_panels_of_their_own():
    spec = specs(read("minatar"))[0]
    assert len(spec.draw().subfigs) == len(read("minatar").settings["env"]) == 3


@pytest.mark.parametrize("name", HEADLINES)
def test_committed_reports_have_few_figures_of_few_words(name):
    shown = specs(read(name))
    assert shown[0].slug == HEADLINES[name]
    assert 2 <= len(shown) <= MOST
    assert len({spec.slug for spec in shown}) == len(shown)
    for spec in shown:
        assert len(spec.caption.split()) <= 40
        assert spec.title
        assert spec.rows


@pytest.mark.parametrize("name", ["outer-critic", "outer-critic-normalised"])
def test_an_outer_critic_takes_the_outer_advantage_away(name):
    """Ours, as published; within what seeds and plots tell."""
    assert "followed" in {spec.slug for spec in specs(read(name))}
    for row in rows(name, "final", series="outer_advantage"):
        if row["problem.outer_critic"]:
            assert abs(row["final"]) < 0.005
            assert abs(row["published"]) < 0.005
        else:
            assert row["final_low"] > (5.0 if name.endswith("normalised") else 0.03)
        if row["n"] > 0:
            assert row["final"] == pytest.approx(row["published"], rel=0.05, abs=0.005)


def test_experiments_of_the_paper_say_first_what_is_reproduced():
    fig3 = read("fig3")
    total = words.reproduced(fig3)
    assert total is not None
    assert (total.numbers["returns_met"].value, total.numbers["returns_of"].value) == (0, 7)
    assert words.title(fig3).startswith("0 of 7 ")
    table1 = words.title(read("table1"))
    assert "22 of 22" in table1
    assert "0 of 7" in table1


def test_answers_name_figures_that_there_are():
    shown = {
        spec.slug for name in ("mechanism", "fig5", "fig3", "lsf") for spec in specs(read(name))
    }
    verdict = read("mechanism").verdict
    assert {answer.figure for answer in verdict if answer.status != "not measured"} <= shown
    assert {answer.figure for answer in verdict} <= set(names.texts("figures"))


def test_where_no_meta_gradient_is_measured_the_end_of_training_is_told():
    text = words.title(read("fig4"))
    assert "0.0020" in text
    assert "0.0015" in text


DECIDED = {  # published, under the optimiser, rivals, Hessian cut, memory cut; closest, winners
    ("mechanism", "optimiser=adam"): (
        *("no-work", "not-closer", "not-closer", "little", "carries"),
        *("E1 spectral radius, augmented", 0),
    ),
    ("mechanism", "optimiser=sgd"): (
        *("no-work", "no-work", "closest", "little", "little"),
        *("E5 transient growth, coherent", 8),
    ),
    ("mechanism", "optimiser=rmsprop"): (
        *("no-work", "not-closer", "not-closer", "little", "little"),
        *("E3 accumulation, incoherent", 0),
    ),
    ("mechanism", "optimiser=momentum"): (
        *("no-work", "no-work", "not-closer", "little", "carries"),
        *("E4 optimiser memory, incoherent", 0),
    ),
    ("mechanism-long", "optimiser=adam"): (
        *("no-work", "not-closer", "not-closer", "little", "carries"),
        *("E4 optimiser memory, incoherent", 0),
    ),
    ("mechanism-mrp", "optimiser=adam"): (
        *("no-work", "closer", "not-closer", "little", "carries"),
        *("E4 optimiser memory, incoherent", 0),
    ),
    ("mechanism-mrp", "optimiser=rmsprop"): (
        *("no-work", "closer", "cut-contradicts", "damps", "little"),
        *("E3 accumulation, incoherent", 1),
    ),
    ("table1", "estimator=mix n=5"): (
        *("no-work", "", "closest", "", ""),
        *("E4 optimiser memory, coherent", 1),
    ),
    ("fig5", ""): ("no-work", "", "too-far", "", "", "E4 optimiser memory, incoherent", 0),
}
ASKED = ("published", "optimiser", "rivals", "hessian-cut", "memory-cut")


@pytest.mark.parametrize(("report", "configuration"), DECIDED)
def test_what_is_decided(report, configuration):
    answers = {a.question: a for a in read(report).verdict if a.configuration == configuration}
    labels = answers["rivals"].labels
    winners = [name for name in labels["winners"].split("; ") if name]
    reasons = [answers[question].reason for question in ASKED]
    assert (*reasons, labels["closest"], len(winners)) == DECIDED[report, configuration]


def interval(row: dict[str, Any], name: str) -> tuple[float, float]:
    return row[f"{name}_low"], row[f"{name}_high"]


def assert_falls(intervals: list[tuple[float, float]]) -> None:
    """Each interval lies wholly below the one before."""
    for (low, _), (_, high) in itertools.pairwise(intervals):
        assert high < low


def final(series: str) -> list[tuple[float, float]]:
    """At the end of training with n = 1, 5, 10."""
    found = {row["n"]: row for row in rows("fig4", "final", series=series)}
    assert all(row["seeds"] == 5 for row in found.values())
    return [interval(found[n], "final") for n in (1, 5, 10)]


def test_even_discounts_rise():
    """From 0.5 towards one."""
    assert all(low > 0.9 for low, _ in final(EVEN))


def test_even_discounts_rise_faster_with_larger_n():
    """All through training by their means; at no single time by the intervals of five seeds."""
    curves = {
        n: [row["mean"] for row in rows("fig4", "learning", series=EVEN, configuration=f"n={n}")]
        for n in (1, 5, 10)
    }
    assert {len(curve) for curve in curves.values()} == {120}
    assert all(one < five < ten for one, five, ten in zip(*curves.values(), strict=True))


def test_odd_discounts_fall_faster_with_larger_n():
    ends = final(ODD)
    assert_falls([(0.5, 0.5), *ends])


def test_the_loss_is_lower_with_larger_n():
    assert_falls(final("inner loss"))


def averaged(estimator: str, horizon: int, group: str) -> dict[str, Any]:
    """Over training, of a group of discounts."""
    wanted = {"estimator": estimator, "horizon": horizon, "group": group, "when": "all"}
    (row,) = rows("fig5", "spread", **wanted)
    assert (row["count"], row["over"]) == (5, "seeds")
    return row


@pytest.mark.parametrize(("group", "horizons"), [(EVEN, (1, 10, 20)), (ODD, (5, 10))])
def test_bias_falls_with_n(group, horizons):
    """Horizons far enough apart for five seeds; that of the longest is zero by definition."""
    assert_falls([interval(averaged("n-step", n, group), "bias") for n in horizons])
    values = [averaged("n-step", n, group)["bias"] for n in (5, 10, 15, 20, 30)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(("group", "horizons"), [(EVEN, (20, 10, 5, 2, 1)), (ODD, (10, 3, 1))])
def test_std_rises_with_n(group, horizons):
    """Horizons far enough apart for five seeds; beyond twenty steps it hardly rises any more."""
    assert_falls([interval(averaged("n-step", n, group), "std") for n in horizons])
    values = [averaged("n-step", n, group)["std"] for n in (1, 2, 3, 5, 10, 20, 40)]
    assert values == sorted(values)


@pytest.mark.parametrize("group", [EVEN, ODD])
@pytest.mark.parametrize("n", [3, 5, 10, 20, 40])
def test_mixes_have_less_std_and_more_bias(n, group):
    steps, mix = averaged("n-step", n, group), averaged("mix", n, group)
    assert_falls([interval(steps, "std"), interval(mix, "std")])
    assert mix["bias"] > steps["bias"]


def test_the_monte_carlo_floor_is_well_below_the_bias():
    """That of K = 2048, up to ten steps: what is left after it is taken off is no noise."""
    for n in range(1, 11):
        row = averaged("n-step", n, EVEN)
        assert 0 < row["bias_floor"] < 0.2 * row["bias"]


def growths() -> list[dict[str, Any]]:
    """Standard deviations over that of one step on Snake, where table 1 of the paper has them."""
    whole = rows("table1", "spread", when="all")
    return [row for row in whole if row["horizon"] > 1 and row["published"] > 0]


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
