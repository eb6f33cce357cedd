"""What a run tells while it runs; whoever shows or records it implements this."""

from collections.abc import Mapping
from typing import Any


class Observer:
    """Hears of every event of a run; this one ignores them all."""

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """A phase ("compiling", "training", "probing") has reached `done` of `total`."""

    def on_iteration(self, record: Mapping[str, Any]) -> None:
        """An iteration is done; `record` is its line in metrics.jsonl."""

    def on_probe(self, record: Mapping[str, Any]) -> None:
        """A probe is written; `record` holds its headline numbers."""

    def on_summary(self) -> None:
        """summary.json is up to date: the moment to make a report."""
