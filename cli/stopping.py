"""Ctrl-C and termination: everything is saved, and the command says how to go on."""

import contextlib
import logging
import shlex
from collections.abc import Iterator

import click

from hessdiag.train.interrupt import Interrupted, StopRequest


@contextlib.contextmanager
def stoppable(*again: str) -> Iterator[StopRequest]:
    """A stop request that signals make, for the work inside.

    Args:
        again: the command that goes on, without `hessdiag`.

    Raises:
        Exit: it was heeded, with 128 and the signal's number.
    """
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # orbax's; its errors are raised as well
    try:
        with StopRequest() as stop:
            yield stop
    except Interrupted as stopped:
        command = shlex.join(["hessdiag", *again])
        click.echo(f"hessdiag: {stopped}; saved. Go on with: {command}", err=True)
        raise click.exceptions.Exit(128 + stopped.signal_number) from stopped
