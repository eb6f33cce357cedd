import re

import matplotlib as mpl
import numpy as np
import pytest

from hessdiag.report.figures.canvas import (
    STYLE,
    boxes,
    direct_labels,
    factor_axis,
    panels,
    signed_decades,
    styled,
    thin,
)
from hessdiag.report.figures.palette import (
    CATEGORIES,
    DARK,
    GRID,
    INK,
    MUTED,
    PAPER,
    SEQUENCE,
    sequence,
)


def test_style_ends_with_its_block() -> None:
    before = mpl.rcParams["svg.hashsalt"]
    with styled("a"):
        assert mpl.rcParams["svg.hashsalt"] == "a"
    assert mpl.rcParams["svg.hashsalt"] == before


def test_colours_of_the_style_are_those_of_the_palette() -> None:
    """Another colour would not follow the reader's colour scheme."""
    used = set(re.findall(r": ([0-9a-f]{6})$", STYLE.read_text(), flags=re.MULTILINE))
    assert used == {colour[1:] for colour in (INK, MUTED, GRID, PAPER)}


@pytest.mark.parametrize(("low", "high"), [(-1e-3, 1e-6), (-3.0, 0.5), (0.0, 1e-2), (-1e-9, 2.0)])
def test_signed_decades_hold_zero_and_stay_inside(low: float, high: float) -> None:
    ticks = signed_decades(low, high, -7)
    assert 0.0 in ticks
    assert ticks == sorted(ticks)
    assert all(low <= value <= high for value in ticks)
    assert len(ticks) <= 10


def test_thinning_keeps_both_ends() -> None:
    assert thin(3, most=10).tolist() == [0, 1, 2]
    assert thin(1000, most=5).tolist() == [0, 250, 500, 749, 999]


def test_colours_can_be_told_apart_by_value() -> None:
    assert len(DARK) == 5 + len(CATEGORIES) + len(SEQUENCE)


def test_sequence_runs_from_first_to_last() -> None:
    assert [sequence(0, 5), sequence(4, 5)] == [SEQUENCE[0], SEQUENCE[-1]]


def test_boxes_tile_the_figure() -> None:
    figure, axes = panels(3, columns=2, height=2.0, width=8.0)
    assert len(axes) == 3
    assert np.allclose(boxes(figure), [(0, 0, 288, 144), (288, 0, 288, 144), (0, 144, 288, 144)])


def test_direct_labels_do_not_lie_on_each_other() -> None:
    figure, (axis,) = panels(1)
    axis.set_ylim(0, 1)
    direct_labels(
        axis, 0.5, [(0.5, "a", INK), (0.5, "b", INK), (0.51, "c", INK), (np.nan, "d", INK)]
    )
    heights = sorted(
        axis.transData.transform((0, text.get_position()[1]))[1] for text in axis.texts
    )
    assert len(heights) == 3
    assert np.diff(heights).min() > 0.12 * figure.dpi


@pytest.mark.parametrize("values", [(1.0, 8.0), (0.2, 0.9), (1.0, 1.0), (1.0, 5000.0)])
def test_factors_are_labelled_at_powers_of_two(values: tuple[float, float]) -> None:
    _, (axis,) = panels(1)
    factor_axis(axis, "y", np.array([*values, np.nan]))
    low, high = axis.get_ylim()
    assert low < min(values)
    assert high > max(values)
    ticks = axis.get_yticks()
    assert 1 <= len(ticks) <= 9
    assert np.allclose(np.log2(ticks), np.round(np.log2(ticks)))
