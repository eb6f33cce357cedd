"""Several problems on one page: every cell is a number with its error, or says why not."""

import dataclasses

import pytest

from hessdiag.report.systems import systems
from hessdiag.report.words import title

CONFIGURATIONS = ("env=mrp", "env=bandit", "env=ipd")


@pytest.fixture
def several(found):
    """The study of optimisers, as if its configurations were problems; one was not measured."""
    renamed = dict(zip(found.configurations, CONFIGURATIONS, strict=False))
    tables = {name: _renamed(frame, renamed) for name, frame in found.tables.items()}
    tables["curvature"] = tables["curvature"].query("configuration != 'env=ipd'")
    tables["spread"] = tables["spread"].query("configuration != 'env=ipd'")
    source = tables["sources"].configuration.eq("env=bandit")
    coherence = source & tables["sources"].source.eq("coherence of the terms")
    tables["sources"].loc[coherence, "share"] = float("nan")
    verdict = tuple(
        dataclasses.replace(answer, configuration=renamed[answer.configuration])
        for answer in found.verdict
        if answer.configuration in renamed
    )
    changes = {"configurations": CONFIGURATIONS, "varied": ("env", "seed")}
    return dataclasses.replace(found, tables=tables, verdict=verdict, **changes)


def _renamed(frame, names):
    if "configuration" not in frame:
        return frame
    frame = frame[frame["configuration"].isin(list(names))]
    return frame.assign(configuration=frame["configuration"].map(names))


def table_of(findings):
    table = systems(findings)
    assert table is not None
    return table


def test_no_cell_is_empty(several):
    table = table_of(several)
    assert list(table.columns) == ["", "mrp", "bandit", "ipd"]
    for label, measured, partly, absent in table.rows:
        if "edge" not in label:  # older than the measurement
            assert measured[0].isdigit() or measured[0] == "−" or "off by" in measured
        assert partly
        assert absent == "not measured"
    by_label = {row[0]: row for row in table.rows}
    (coherence,) = [row for label, row in by_label.items() if label.startswith("coherence")]
    assert coherence[2].startswith("undefined: ")


def test_numbers_are_those_of_the_tables(several):
    """Growth at the longest horizon with its interval; the largest radius with its bound."""
    rows = {row[0]: row for row in table_of(several).rows}
    spread = several.tables["spread"].query("configuration == 'env=mrp' and when == 'all'")
    spread = spread[(spread["estimator"] == "n-step") & (spread["group"] == "all")]
    longest = spread.loc[spread["horizon"].idxmax()]
    value = float(rows["growth of the noise"][1].split(" [")[0])
    assert value == pytest.approx(longest["growth"], rel=5e-3)
    radii = several.tables["curvature"].query("configuration == 'env=mrp' and when == 'all'")
    radius = radii[radii["quantity"] == "spectral radius"].iloc[0]
    label = next(label for label in rows if label.startswith("spectral radius, I + H"))
    shown = rows[label][1].split(" ± ")[0].replace("−", "-")
    assert float(shown) == pytest.approx(radius["largest"], rel=2e-3)


def test_a_study_of_one_problem_has_no_such_table(found, run):
    assert systems(found) is None
    assert systems(run) is None


def test_the_title_counts_systems(several):
    """Where the verdict says that noise grows."""
    told = [answer.status for answer in several.verdict if answer.question == "growth"]
    assert told == ["holds"] * 3  # also of the system whose noise is not in the tables
    fewer = tuple(
        dataclasses.replace(answer, status="does not hold")
        if (answer.question, answer.configuration) == ("growth", "env=mrp")
        else answer
        for answer in several.verdict
    )
    titles = title(several), title(dataclasses.replace(several, verdict=fewer))
    assert "two of two" in titles[0].lower()
    assert "one of two" in titles[1].lower()
