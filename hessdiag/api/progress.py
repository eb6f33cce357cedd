"""How far a call has come: told to a callback, or shown where it takes long."""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console

PATIENCE = 2.0  # seconds before a bar is shown

Tell = Callable[[int, int], object]
"""(products done, products in all, about)."""


class Watch:
    """Hears of products; entered, it shows a bar where someone looks.

    Args:
        total: Products in all, about.
        tell: Called after every product; None for a bar in terminals and notebooks, of a call that
            takes long; False for neither.
        what: Is counted.
    """

    def __init__(self, total: int, tell: Tell | bool | None = None, *, what: str = "products"):
        self.total, self.done, self._what = total, 0, what
        self._tell = tell if callable(tell) else None
        self._may_show = tell is None and _someone_looks()
        self._began, self._bar, self._task, self._ends = 0.0, None, None, ""

    def __enter__(self) -> "Watch":
        self._began = time.monotonic()
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is None and self._tell is not None:
            self._tell(self.done, self.done)

    def note(self, done: int) -> None:
        """So many products are done."""
        self.done, self.total = done, max(self.total, done)
        if self._tell is not None:
            self._tell(done, self.total)
        if self._may_show and time.monotonic() - self._began > PATIENCE:
            self._show()

    def show(self, values: np.ndarray, errors: np.ndarray) -> None:
        """Where the ends are by now."""
        pairs = zip(values, errors, strict=True)
        self._ends = ", ".join(f"{value:.4g} ± {error:.0e}" for value, error in pairs)

    def _show(self) -> None:
        if self._bar is None:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            columns = (self._what, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            ends = TextColumn("ends {task.fields[ends]}")
            console = Console(stderr=True)
            self._bar = Progress(*columns, ends, console=console, transient=True)
            self._task = self._bar.add_task("", total=self.total, ends="")
            self._bar.start()
        assert self._task is not None
        self._bar.update(self._task, completed=self.done, total=self.total, ends=self._ends)


def _someone_looks() -> bool:
    console = Console(stderr=True)
    return (sys.stderr is not None and console.is_terminal) or console.is_jupyter
