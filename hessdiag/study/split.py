"""How the cells of a study are spread over the cores of this machine."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hessdiag.study.grid import TOGETHER, Cell, groups


class Split(NamedTuple):
    """What decides the last digits of what cells compute, and so is kept in study.json.

    A study that goes on where more or fewer cores are keeps its split: there are other processes,
    and not other numbers.
    """

    together: int = TOGETHER  # seeds that train as one program at the most
    cores: int = 0  # of each process that runs cells; 0: all there are, in the study's own process

    @classmethod
    def of(
        cls, cells: Sequence[Cell], *, workers: int, usable: int, together: int | None = None
    ) -> "Split":
        """For so many processes on so many usable cores.

        Seeds of a configuration train as one program, of no more seeds than leave every process
        something to do; `together` says otherwise.
        """
        if workers <= 1:
            return cls(together or TOGETHER)
        seeds = Counter(repr(cell.configuration) for cell in cells)
        parts = -(-workers // max(1, len(seeds)))  # of each configuration
        together = together or min(TOGETHER, -(-max(seeds.values(), default=1) // parts))
        busy = min(workers, len(groups(cells, together)))
        return cls(together, max(1, usable // busy) if busy > 1 else 0)

    def processes(self, tasks: int, *, usable: int) -> int:
        """How many processes run so many tasks; none where the study's own does."""
        return min(tasks, max(1, usable // self.cores)) if self.cores else 0

    @classmethod
    def kept(cls, document: Mapping[str, Any]) -> "Split":
        """As study.json has it; studies from before it was kept had the default."""
        return cls(**document.get("split", {}))
