"""Files that are either whole or not there."""

import os
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, content: bytes | str | Callable[[Path], object]) -> None:
    """Write a file under a temporary name, then rename it; both survive a power cut.

    Args:
        path: its final name; the folder must exist.
        content: all of it, or a function that writes it to the path it is given.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if callable(content):
            content(temporary)
        else:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Have the names in a folder written, too."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
