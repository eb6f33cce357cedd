"""A run as plain lines, for logs and pipes."""

import time
from collections.abc import Mapping
from typing import Any

from hessdiag.analysis import findings
from hessdiag.train.settings import Settings, probe_iterations

from .display import Display
from .pace import Pace
from .summary import summary
from .words import hyper_text, probe_text, returns_text

PLAIN_SECONDS = 15.0  # between two lines of progress


class PlainDisplay(Display):
    """A line now and then, for logs."""

    def __init__(self):
        super().__init__()
        self._began = time.monotonic()
        self._last_line = 0.0
        self._record: Mapping[str, Any] = {}

    def opened(self, settings: Settings) -> None:
        """Tell which run this is."""
        self._pace = Pace(settings.train.iterations, probe_iterations(settings))
        print(f"hessdiag: {settings.env}, n = {settings.n}, {settings.estimator}: {self._path}")

    def on_iteration(self, record: Mapping[str, Any]) -> None:
        """Remember the latest numbers."""
        self._record = record

    def on_probe(self, record: Mapping[str, Any]) -> None:
        """A line for every probe."""
        self._line(f"probe at iteration {record['iteration']}: {probe_text(record)}")

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """A line when there has been none for a while."""
        self._pace.note(phase, done)
        now = time.monotonic()
        if now - self._last_line >= PLAIN_SECONDS or phase == "compiling":
            self._last_line = now
            self._line(f"{phase} {done}/{total} {self._pace.text()} {self._numbers()}")

    def finished(self) -> None:
        """What was found, and where the report is."""
        print(summary(findings(self._path)))
        print(f"report: {self._path / 'report.html'}")

    def _numbers(self) -> str:
        if not self._record:
            return ""
        return f"{returns_text(self._record)} {hyper_text(self._record)}"

    def _line(self, text: str) -> None:
        print(f"[{time.monotonic() - self._began:6.0f} s] {text.rstrip()}", flush=True)
