"""`hessdiag watch`: follows a run or a study that another terminal drives."""

import contextlib
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import click

from hessdiag.errors import printable

from .leaving import ended_by_ctrl_c
from .pace import PLAIN_SECONDS

ENDS = ("finished", "failed", "interrupted")


class Look(NamedTuple):
    """How far it is."""

    state: str  # one of `ENDS`, or another while it goes on
    line: str
    probes: tuple[str, ...] = ()  # a line for each


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--every",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
def watch(directory: Path, every: float) -> None:
    """Follow the run or the study in DIRECTORY to its end, then show what it found.

    Only reads: Ctrl-C ends the watching alone.
    """
    from hessdiag.analysis import findings
    from hessdiag.record.documents import understood

    from .words import summary

    look = _at_study if (directory / "study.json").is_file() else _at_run

    def careful() -> Look:
        with understood(directory):
            return look(directory)

    with ended_by_ctrl_c():
        _follow(careful, every)
        click.echo(summary(findings(directory)))


def _follow(look, every: float) -> None:
    """Show it in place in a terminal, and else a line now and then, until it ends."""
    from rich.live import Live
    from rich.text import Text

    told, said, latest = 0, "", -PLAIN_SECONDS
    live = Live(refresh_per_second=4) if sys.stdout.isatty() else None
    with live or contextlib.nullcontext():
        while True:
            state, line, probes = look()
            line = printable(line)
            show = live.console.print if live else click.echo
            for probe in probes[told:]:
                show(printable(probe))
            told = max(told, len(probes))
            is_due = time.monotonic() - latest >= PLAIN_SECONDS or state in ENDS
            if live:
                live.update(Text(line))
            elif line != said and is_due:
                click.echo(line)
                said, latest = line, time.monotonic()
            if state in ENDS:
                return
            time.sleep(every)


def _at_run(directory: Path) -> Look:
    from hessdiag.record.documents import last_record
    from hessdiag.record.run_directory import RunDirectory

    from .words import iteration_text, probe_text

    summary = RunDirectory.open(directory).read_json("summary.json")
    record, timing = (last_record(directory / f"{name}.jsonl") for name in ("metrics", "timings"))
    done, state = record.get("iteration", -1) + 1, str(summary.get("status"))
    many = timing.get("iterations", 1)
    rate = f"{many / max(timing['seconds'], 1e-9):.2f} it/s" if timing.get("seconds") else ""
    numbers = iteration_text(record) if record else ""
    parts = (state, f"{done}/{summary.get('iterations')}", rate, numbers)
    probes = tuple(
        f"probe at iteration {probe['iteration']}: {probe_text(probe)}"
        for probe in summary.get("probes", ())
    )
    return Look(state, " ".join(filter(None, parts)), probes)


def _at_study(directory: Path) -> Look:
    from hessdiag.record.study_directory import StudyDirectory

    study = StudyDirectory.open(directory)
    cells = study.document["cells"]
    held = [(cell, study.status_of(cell["slug"])) for cell in cells]
    counts = Counter(status.state for _, status in held)
    now = [
        f"{cell['cell']} {_at_run(directory / 'cells' / cell['slug']).line}"
        for cell, status in held
        if status.state == "running"
    ]
    line = ", ".join(f"{count} {state}" for state, count in counts.items())
    left = len(cells) - counts["finished"] - counts["failed"]
    stopped = counts["interrupted"] and not now
    state = "finished" if not left else "interrupted" if stopped else "running"
    return Look(state, "; ".join([line, *now]))
