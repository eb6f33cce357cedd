"""Curves of training count iterations, however many lines tell of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hessdiag.analysis.learning import BLOCKS, final_table, learning_table
from hessdiag.analysis.measured import Configuration
from hessdiag.record.run_directory import RunRecord
from hessdiag.record.study_directory import CellRecord, CellStatus
from tests.analysis.building import CONFIG

ITERATIONS = 1200


def of(iterations, state="finished") -> Configuration:
    """One run whose return at iteration t is t, and told of at these."""
    told = np.asarray(iterations, float)
    metrics = pd.DataFrame({"iteration": told, "metrics.return": told, "hyper.x": -told})
    run = RunRecord(Path(), CONFIG, {}, metrics, ())
    cell = CellRecord("", "", 0, ITERATIONS, CellStatus(state, ITERATIONS), run)
    return Configuration("x", [cell], 0.95)


def curve(iterations):
    table = learning_table(of(iterations))
    return table[table["series"] == "return"]


def test_every_iteration():
    table = curve(range(ITERATIONS))
    width = ITERATIONS // BLOCKS
    middles = np.arange(BLOCKS) * width + (width - 1) / 2
    np.testing.assert_allclose(table["iteration"], middles)
    np.testing.assert_allclose(table["mean"], middles)


@pytest.mark.parametrize("stride", [2, 5, 30, 400])
def test_the_last_of_every_stride(stride):
    """Points stand at the iterations that they are the means of, none where nothing is told."""
    table = curve(range(stride - 1, ITERATIONS, stride))
    np.testing.assert_allclose(table["mean"], table["iteration"])
    assert len(table) == min(BLOCKS, ITERATIONS // stride)
    ends = final_table(of(range(stride - 1, ITERATIONS, stride)))
    last = np.arange(stride - 1, ITERATIONS, stride)
    expected = last[last >= 0.95 * ITERATIONS].mean()
    assert ends.set_index("series").loc["return", "final"] == expected


def test_a_block_that_is_not_whole_is_left_out():
    table = curve(range(4, 98, 5))  # told of until 94: nine blocks of ten
    assert list(table["iteration"]) == [10 * k + 6.5 for k in range(9)]


def test_metrics_that_are_followed_have_their_series():
    """Where a run's config names them; one from before does not."""
    config = {**CONFIG, "problem": {"headline": "return", "followed": ["advantage"]}}
    metrics = pd.DataFrame({"iteration": range(40), "metrics.advantage": np.arange(40.0)})
    for known, series in ((config, True), (CONFIG, False)):
        run = RunRecord(Path(), known, {}, metrics, ())
        cell = CellRecord("", "", 0, 40, CellStatus("finished", 40), run)
        ends = final_table(Configuration("x", [cell], 0.95)).set_index("series")
        assert ("advantage" in ends.index) is series
        curve = learning_table(Configuration("x", [cell], 0.95))
        assert ("advantage" in set(curve["series"])) is series
        if series:
            assert ends.loc["advantage", "final"] == 38.5  # of the last twentieth


def test_without_a_line_there_is_no_curve():
    empty = of([])
    assert learning_table(empty).empty
