"""Runs and studies side by side: what each says is what it says alone."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from hessdiag.analysis import findings, side_by_side
from hessdiag.errors import UsageError
from hessdiag.report.tables import differences
from hessdiag.report.write import write_page

REPORTS = Path(__file__).parents[2] / "reports"
STUDIES = [REPORTS / "mechanism", REPORTS / "mechanism-long"]


@pytest.fixture(scope="module")
def compared():
    return side_by_side(STUDIES, command="hessdiag compare")


def test_every_configuration_says_what_it_says_alone(compared):
    alone = [findings(path) for path in STUDIES]
    statuses = [(a.question, a.status, a.numbers) for each in alone for a in each.verdict]
    assert [(a.question, a.status, a.numbers) for a in compared.verdict] == statuses
    assert len(compared.configurations) == sum(len(each.configurations) for each in alone)
    assert len(set(compared.configurations)) == len(compared.configurations)
    for name, table in compared.tables.items():
        assert len(table) == sum(len(each.tables[name]) for each in alone)


def test_what_differs_is_told_and_nothing_else(compared):
    table = differences(compared)
    assert table is not None
    assert {row[0] for row in table.rows} == {"learning.optimiser", "train.iterations"}
    assert dict(zip(table.columns, table.rows[-1], strict=True))["mechanism-long: Adam"] == "6000"


def test_runs_are_called_after_their_directories(recorded_run, tmp_path):
    paths = [tmp_path / place / "run" for place in ("here", "there")]
    for path in paths:
        shutil.copytree(recorded_run, path)
    outcome = side_by_side(paths, command="hessdiag compare")
    assert outcome.configurations == ("here/run", "there/run")
    assert differences(outcome) is None
    first, second = (
        outcome.tables["spread"].query("configuration == @name").drop(columns="configuration")
        for name in outcome.configurations
    )
    pd.testing.assert_frame_equal(first, second.reset_index(drop=True))
    assert write_page(outcome, tmp_path).stat().st_size > 100_000


@pytest.mark.parametrize("directories", [STUDIES[:1], [STUDIES[0]] * 2])
def test_less_than_two_are_refused(directories):
    with pytest.raises(UsageError):
        side_by_side(directories, command="")
