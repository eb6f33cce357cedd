"""Driving a run from the command line: set-up, display, report."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hessdiag.record.provenance import utc_now
from hessdiag.report import write_report
from hessdiag.train.launch import reopen, start
from hessdiag.train.presets import resolve
from hessdiag.train.run import Run
from hessdiag.train.settings import Settings

from .compilation import set_up_compilation
from .display import Display, QuietDisplay
from .json_display import JsonDisplay
from .live_display import LiveDisplay
from .plain_display import PlainDisplay
from .stopping import stoppable


def drive_run(
    flags: Mapping[str, Any],
    config: Path | None,
    out: Path | None,
    resume: Path | None,
    *,
    command: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Start a run in a new directory, or go on with the one in `resume`, to its end."""
    if resume is not None:
        set_up_compilation()
        settings, directory = reopen(resume, command=command)
    else:
        settings = resolve(flags, config)  # bad input is refused at once
        set_up_compilation()
        directory = start(settings, out or default_path(settings), command=command)
    display = make_display(quiet=quiet, as_json=as_json)
    display.publish = lambda: write_report(directory.path)
    with (
        stoppable("run", "--resume", str(directory.path)) as stop,
        display.shown(settings, directory.path),
    ):
        Run.single(settings, directory, observer=display, stop=stop).go()


def default_path(settings: Settings) -> Path:
    """reports/<env>-n<n>-seed<seed>-<UTC time>, under the current directory."""
    name = settings.env.replace(":", "-").replace(".", "-")
    estimator = "" if settings.estimator == Settings.estimator else f"-{settings.estimator}"
    time = utc_now().strftime("%Y%m%dT%H%M%SZ")
    return Path("reports") / f"{name}-n{settings.n}{estimator}-seed{settings.seed}-{time}"


def make_display(*, quiet: bool, as_json: bool) -> Display:
    """The display that fits the flags and where standard output goes."""
    if as_json:
        return JsonDisplay()
    if quiet:
        return QuietDisplay()
    return LiveDisplay() if sys.stdout.isatty() else PlainDisplay()
