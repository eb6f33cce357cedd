"""Files that are either whole or not there."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("", "probes", "figures", "tables", "checkpoints", "cells")
"""Of a run's or a study's directory, where files are written."""


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name, then rename it; both survive a power cut.

    Args:
        path: its final name; the folder must exist.
        content: all of it.

    Raises:
        OSError: it cannot be written; the message names it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path):
            with temporary.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Around writing to a file: errors of the system name it."""
    try:
        yield
    except OSError as error:
        if not error.errno:
            raise OSError(f"{path}: cannot be written ({error})") from error
        error.filename, error.filename2 = str(path), None
        raise


def sweep(directory: Path) -> None:
    """Delete the temporary files in a run's or a study's directory of processes that are gone."""
    for folder in FOLDERS:
        for file in (directory / folder).glob(".*.tmp"):
            process = re.fullmatch(r"\..+\.(\d+)\.tmp", file.name)
            if process and not _is_alive(int(process[1])):
                file.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def sync_folder(path: Path) -> None:
    """Have the names in a folder written, too; an OSError names it."""
    with naming(path):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
