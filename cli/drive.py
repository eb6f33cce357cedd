"""Driving a run from the command line: set-up, display, report, exit code."""

import logging
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hessdiag.record.provenance import utc_now
from hessdiag.record.run_directory import RunDirectory
from hessdiag.report import write_report
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.launch import reopen, start
from hessdiag.train.presets import resolve
from hessdiag.train.run import Run
from hessdiag.train.settings import Settings

from .compilation import set_up_compilation
from .display import Display, QuietDisplay
from .json_display import JsonDisplay
from .live_display import LiveDisplay
from .plain_display import PlainDisplay


def new_run(
    flags: Mapping[str, Any],
    config: Path | None,
    out: Path | None,
    *,
    command: str,
    quiet: bool,
    as_json: bool,
) -> int:
    """Start a run in a new directory; returns the exit code."""
    set_up_compilation()
    settings = resolve(flags, config)
    directory = start(settings, out or default_path(settings), command=command)
    return _drive(settings, directory, make_display(quiet=quiet, as_json=as_json))


def continue_run(path: Path, *, command: str, quiet: bool, as_json: bool) -> int:
    """Go on with the run in `path`; returns the exit code."""
    set_up_compilation()
    settings, directory = reopen(path, command=command)
    return _drive(settings, directory, make_display(quiet=quiet, as_json=as_json))


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


def _drive(settings: Settings, directory: RunDirectory, display: Display) -> int:
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # orbax's; its errors are raised as well
    display.publish = lambda: write_report(directory.path)
    try:
        with StopRequest() as stop, display.shown(settings, directory.path):
            Run.single(settings, directory, observer=display, stop=stop).go()
    except Interrupted as stopped:
        command = shlex.join(["hessdiag", "run", "--resume", str(directory.path)])
        click.echo(f"hessdiag: {stopped}; saved. Go on with: {command}", err=True)
        return 128 + stopped.signal_number
    return 0
