"""Where the cells of a study run: in this process, or on Dask workers."""

import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

from hessdiag.errors import UsageError

if TYPE_CHECKING:  # JAX takes seconds, and `--help` is to answer at once
    from hessdiag.study.study import Executor

LOCAL, DASK = "local", "dask"


class Workers(NamedTuple):
    """What --executor, --workers and --scheduler say."""

    kind: str = LOCAL
    number: int | None = None
    scheduler: str | None = None

    def flags(self) -> dict[str, str]:
        """As typed, but for what is the default."""
        told = {"--executor": self.kind, "--workers": self.number, "--scheduler": self.scheduler}
        return {flag: str(value) for flag, value in told.items() if value not in (None, LOCAL)}

    def require_sense(self, trackers: Sequence[str] = ()) -> None:
        """Refuse, in a line, what does not go together."""
        if self.kind != LOCAL and trackers:
            raise UsageError(
                "--log: runs on workers tell no tracker; allowed: with --executor local"
            )
        if self.kind == LOCAL:
            for flag, value in self.flags().items():
                raise UsageError(f"{flag}: {value} is not allowed; allowed: with --executor dask")
        if self.number is not None and self.scheduler is not None:
            raise UsageError("--workers: a scheduler has its own; allowed: one of the two")
        if self.number is not None and self.number < 1:
            raise UsageError(f"--workers: {self.number} is not allowed; allowed: 1 or more")

    def executor(self, tasks: int) -> AbstractContextManager["Executor"]:
        """What runs so many tasks, while it is entered; none need no workers."""
        from hessdiag.report import write_report
        from hessdiag.study.dask_executor import dask_executor
        from hessdiag.study.study import local

        if self.kind == LOCAL or not tasks:
            return contextlib.nullcontext(local)
        return dask_executor(self.number, self.scheduler, write_report)
