"""A run as lines of JSON, for programs."""

import json
from collections.abc import Mapping
from typing import Any

from hessdiag.train.settings import Settings

from .display import Display


class JsonDisplay(Display):
    """Every event as a line of JSON on standard output."""

    def opened(self, settings: Settings) -> None:
        """Tell which run this is."""
        self._emit("start", directory=str(self._path), env=settings.env, n=settings.n)

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Tell a phase's progress; iterations have their own event."""
        if phase != "training":
            self._emit("phase", phase=phase, done=done, total=total)

    def on_iteration(self, record: Mapping[str, Any]) -> None:
        """Tell an iteration's record."""
        self._emit("iteration", **record)

    def on_probe(self, record: Mapping[str, Any]) -> None:
        """Tell a probe's headline."""
        self._emit("probe", **record)

    def finished(self) -> None:
        """Tell the summary and where the report is."""
        summary = json.loads((self._path / "summary.json").read_text())
        self._emit("finish", report=str(self._path / "report.html"), summary=summary)

    def _emit(self, event: str, **record: Any) -> None:
        print(json.dumps({"event": event, **record}), flush=True)
