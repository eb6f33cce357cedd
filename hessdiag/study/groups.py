"""Which cells train as one program: those that differ by their seed alone."""

from collections.abc import Sequence

from hessdiag.study.grid import Cell

TOGETHER = 8


def groups(cells: Sequence[Cell], together: int = TOGETHER) -> list[list[Cell]]:
    """The cells of each configuration, in their order.

    Args:
        cells: of a study.
        together: how many there are in a group at the most, at least 1; bounds memory.
    """
    by_configuration: dict[str, list[Cell]] = {}
    for cell in cells:
        by_configuration.setdefault(repr(cell.configuration), []).append(cell)
    return [
        alike[first : first + together]
        for alike in by_configuration.values()
        for first in range(0, len(alike), together)
    ]
