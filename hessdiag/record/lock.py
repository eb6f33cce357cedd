"""One process at a time in a run's or a study's directory."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from hessdiag.errors import UsageError
from hessdiag.record.atomic import sweep


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a directory; the system lets go of it whenever the process ends, however it ends.

    Temporary files of those that held it before, and were killed, are deleted.

    Raises:
        UsageError: another process holds it, or it cannot be written to.
    """
    try:
        file = (path / ".lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written ({error.strerror}); allowed: a directory that can"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            owner = " ".join(file.read(200).split()) or "another process"
            raise UsageError(
                f"{path}: in use by {owner}; allowed: to wait until that has ended"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        sweep(path)
        yield
        file.truncate(0)


def is_held(path: Path) -> bool:
    """Whether another process holds a directory; none holds what is not there."""
    try:
        with (path / ".lock").open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
