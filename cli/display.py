"""What watches a run on behalf of people or programs: the base, and the quietest of them."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from hessdiag.train.observer import Observer
from hessdiag.train.settings import Settings

from .aside import Aside


class Display(Observer):
    """An observer that people or programs watch; it also publishes the report.

    Attributes:
        publish: makes the report; called aside, whenever the summary changed.
    """

    def __init__(self):
        self.publish: Callable[[], Path] = Path
        self._path = Path()
        self._aside: Aside | None = None

    def on_summary(self) -> None:
        """Have the report made again."""
        if self._aside is not None:
            self._aside.request()

    @contextlib.contextmanager
    def shown(self, settings: Settings, path: Path) -> Iterator[None]:
        """Around a run: open before it, close after it, the results at the end."""
        self._path, self._aside = path, Aside(self.publish)
        self.opened(settings)
        try:
            yield
        finally:
            self._aside.wait()
        self._aside.check()
        self.finished()

    def opened(self, settings: Settings) -> None:
        """The run is about to start."""

    def finished(self) -> None:
        """The run came to its end."""


class QuietDisplay(Display):
    """Nothing but the path of the report."""

    def finished(self) -> None:
        """Print where the report is."""
        print(self._path / "report.html")
