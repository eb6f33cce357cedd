"""Where the cells of a study run: in processes here, or on Dask workers."""

import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

import click

from hessdiag.cores import usable_cores
from hessdiag.errors import UsageError

if TYPE_CHECKING:  # JAX takes seconds, and `--help` is to answer at once
    from hessdiag.study.grid import Cell
    from hessdiag.study.split import Split
    from hessdiag.study.study import Executor

LOCAL, DASK = "local", "dask"


class Workers(NamedTuple):
    """What --executor, --workers, --scheduler, --together and --devices say."""

    kind: str = LOCAL
    number: int | None = None
    scheduler: str | None = None
    together: int | None = None  # seeds that train as one program at the most
    devices: int | None = None  # that share the work of a cell

    def flags(self) -> dict[str, str]:
        """As typed, but for what is the default."""
        told = {"--executor": self.kind, "--workers": self.number, "--scheduler": self.scheduler}
        told |= {"--together": self.together, "--devices": self.devices}
        return {flag: str(value) for flag, value in told.items() if value not in (None, LOCAL)}

    def require_sense(self, trackers: Sequence[str] = ()) -> None:
        """Refuse, in a line, what does not go together."""
        if trackers and (self.kind != LOCAL or (self.number or 1) > 1):
            raise UsageError(
                "--log: runs on workers tell no tracker; allowed: with --executor local and "
                "--workers 1"
            )
        if self.kind == LOCAL and self.scheduler is not None:
            raise UsageError(
                f"--scheduler: {self.scheduler} is not allowed; allowed: with --executor dask"
            )
        if self.number is not None and self.scheduler is not None:
            raise UsageError("--workers: a scheduler has its own; allowed: one of the two")
        counts = {"--workers": self.number, "--together": self.together, "--devices": self.devices}
        for flag, number in counts.items():
            if number is not None and number < 1:
                raise UsageError(f"{flag}: {number} is not allowed; allowed: 1 or more")

    def split(
        self, cells: Sequence["Cell"], kept: "Split | None", trackers: Sequence[str]
    ) -> "Split":
        """How cells are spread over this machine; as was kept, but for what is said anew."""
        from hessdiag.study.split import Split

        together = self.together or (kept.together if kept else None)
        if kept is not None and self.kind == LOCAL and self.number is None and not trackers:
            return kept._replace(together=together or kept.together)
        number = 1 if self.kind == DASK or trackers else self.number or _processes()
        return Split.of(cells, workers=number, usable=len(usable_cores()), together=together)

    def apart(self, tasks: int, kept: int | None) -> tuple[int, int]:
        """How many processes run tasks that share nothing, and on how many cores each of them.

        As many cores as were kept, but for what is said anew. No process: this one does.
        """
        usable, cores = len(usable_cores()), kept
        if kept is None or self.number is not None:
            busy = min(tasks, self.number or _processes())
            cores = max(1, usable // busy) if busy > 1 else 0
        return (min(tasks, max(1, usable // cores)), cores) if cores else (0, 0)

    def executor(
        self, split: "Split", left: Sequence[Sequence["Cell"]]
    ) -> AbstractContextManager["Executor"]:
        """What runs these groups of cells, while it is entered; none need no workers."""
        from hessdiag.devices import local_devices
        from hessdiag.report import write_report
        from hessdiag.study.dask_executor import dask_executor
        from hessdiag.study.processes import processes
        from hessdiag.study.study import local

        if self.kind == LOCAL:
            local_devices(self.devices)  # refuses more than there are
        if self.kind == DASK and left:
            return dask_executor(self.number, self.scheduler, write_report)
        number = self.processes(split, left)
        if not number:
            return contextlib.nullcontext(local)
        return processes(number, split.cores, write_report)

    def processes(self, split: "Split", left: Sequence[Sequence["Cell"]]) -> int:
        """How many processes here run these groups of cells; none where this one does.

        Fewer than there are cores for, where memory is short, which is said in a line.
        """
        from hessdiag.train.room import side_by_side

        wanted = split.processes(len(left), usable=len(usable_cores()))
        number = side_by_side([(cells[0].settings, len(cells)) for cells in left], wanted)
        if number < wanted:
            said = f"hessdiag: {number} of {wanted} processes, for more do not fit into memory"
            click.echo(said, err=True)
        return number


def _processes() -> int:
    """How many run cells where nothing is said: one per core, or one for an accelerator."""
    import jax

    return len(usable_cores()) if jax.default_backend() == "cpu" else 1
