"""What is asked of a spectrum, and about what it costs."""

import dataclasses

from hessdiag.spectra import DENSE_LIMIT

LARGEST = 40  # products for each of the largest eigenvalues, at most
MOVES = 2  # products that look for rounding


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is asked for."""

    starts: int
    matvecs: int
    tolerance: float
    top: int
    budget: int | None
    per_leaf: bool
    seed: int

    @property
    def probes(self) -> int:
        """Products of the trace."""
        return max(4, self.matvecs // 2)

    @property
    def total(self) -> int:
        """Products of all but the table of the leaves, about."""
        return self.starts * self.matvecs + self.probes + LARGEST * self.top + MOVES

    def expected(self, size: int) -> int:
        """Products on an operator of this size, about."""
        whole = size + MOVES if size <= DENSE_LIMIT else self.total
        return whole if self.budget is None else min(whole, self.budget)

    @property
    def is_scarce(self) -> bool:
        """Whether the budget pays for less."""
        return self.budget is not None and self.budget < self.total
