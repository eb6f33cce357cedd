import io

import matplotlib as mpl
import pytest

from hessdiag.report.figures.canvas import (
    NARROW,
    legend_below,
    panels,
    signed_decades,
    styled,
    thin,
)
from hessdiag.report.figures.palette import CATEGORIES, DARK, SEQUENCE, sequence


def test_style_ends_with_its_block() -> None:
    before = mpl.rcParams["svg.hashsalt"]
    with styled("a"):
        assert mpl.rcParams["svg.hashsalt"] == "a"
    assert mpl.rcParams["svg.hashsalt"] == before


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
    assert len({sequence(index, 10) for index in range(10)}) == 10


def test_a_long_legend_leaves_room_for_the_panel() -> None:
    with styled("legend"):
        figure, (axis,) = panels(NARROW, 1)
        for number in range(20):
            axis.plot([0, 1], [0, number], label=f"an explanation, number {number}")
        legend_below(figure, axis, layout=NARROW)
        figure.savefig(io.BytesIO())  # a panel without room would warn
    assert axis.get_window_extent().height / figure.dpi > 1.2
