"""Work beside the run: a report that does not hold training up."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Aside:
    """Does one kind of work in a thread, once more after every request that came meanwhile.

    Args:
        work: what is done; it reads its input when it begins.
    """

    def __init__(self, work: Callable[[], object]):
        self._work = work
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._last: Future | None = None

    def request(self) -> None:
        """Have the work done; a request that still waits sees what this one would."""
        last = self._last
        if last is None or last.running() or last.done():
            self._last = self._thread.submit(self._work)

    def wait(self) -> None:
        """Until all that was requested is done; no more is taken."""
        self._thread.shutdown(wait=True)

    def check(self) -> None:
        """Raise what the last work raised."""
        if self._last is not None:
            self._last.result()
