"""JSON files of one format version, with one text for those that cannot be read."""

import contextlib
import errno
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hessdiag.errors import UsageError
from hessdiag.record.atomic import write_atomically
from hessdiag.record.digests import is_whole, sealed

FORMAT_VERSION = 2  # of run directories, study directories and results
DIGITS = 7  # those of single precision
_LONGEST_LINE = 1 << 20  # bytes


def damaged(path: Path, why: object) -> UsageError:
    """The error for a file that cannot be read, in one line."""
    return UsageError(f"{path}: damaged ({' '.join(str(why).split()) or type(why).__name__})")


@contextlib.contextmanager
def understood(path: Path) -> Iterator[None]:
    """Around what a directory's files lead to: whatever they make fail is told in one line.

    Raises:
        UsageError: instead of anything but an error of the system.
    """
    try:
        yield
    except (UsageError, OSError):
        raise
    except Exception as error:  # files may come from anywhere, and hold anything
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def not_created(path: Path, what: str, error: OSError, *, exists: bool) -> UsageError:
    """The error for a directory that is there already, or that cannot be written.

    Raises:
        OSError: the disk is full or fails.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        raise error
    if exists:
        return UsageError(
            f"--out: {path} exists; {what} is never overwritten (allowed: a new path, or --resume)"
        )
    return UsageError(
        f"--out: {path} cannot be written ({error.strerror}); allowed: a writable folder"
    )


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object, as it was written; else it is a UsageError."""
    document = read_edited(path)
    require_as_written(path, document)
    return document


def read_edited(path: Path) -> dict[str, Any]:
    """The same of a file that may have been edited since it was written."""
    try:
        document = _parsed(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{path}: missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(document, dict):
        raise damaged(path, f"a JSON object is expected, not {type(document).__name__}")
    return document


def require_as_written(path: Path, document: Mapping[str, Any]) -> None:
    """Refuse a document that is not as it was written."""
    if not is_whole(document):
        raise damaged(path, "it is not as it was written")


def _parsed(text: str) -> Any:
    """What JSON says; numbers that are none and halves of characters are refused."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    document = json.loads(text, parse_constant=refuse)
    if "\\u" in text:
        json.dumps(document, ensure_ascii=False).encode()
    return document


def read_document(path: Path, *needed: str, edited: bool = False) -> dict[str, Any]:
    """A JSON file of this format version, with the keys that it must have, or a UsageError."""
    document = (read_edited if edited else read_object)(path)
    version = document.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise damaged(path, "it has no format_version")
    if version != FORMAT_VERSION:
        raise UsageError(
            f"{path}: format version {version}; this hessdiag reads version {FORMAT_VERSION}"
        )
    for key in needed:
        if key not in document:
            raise damaged(path, f"it has no {key}")
    return document


def write_document(path: Path, document: Mapping[str, Any], *, indent: int | None = 1) -> None:
    """Replace a JSON file atomically, with its digest; numbers that are not finite are refused."""
    text = json.dumps(sealed(document), indent=indent, allow_nan=False, ensure_ascii=False)
    write_atomically(path, text + "\n")


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines of a JSON-lines file, as text and as records; half a last line is left out.

    Raises:
        UsageError: a line is not the record of an iteration.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            record = _parsed(line)
            _ = record["iteration"] + 0
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise damaged(path, f"line {number} is not the record of an iteration") from error
        yield line + "\n", record


def last_record(path: Path) -> dict[str, Any]:
    """The last whole line of a JSON-lines file, quickly however long it is; empty if none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LONGEST_LINE))
            lines = file.read().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        record = _parsed(whole[-1].decode()) if whole else {}
    except (OSError, ValueError, RecursionError):  # not there, or being written
        return {}
    return record if isinstance(record, dict) else {}


def as_written(value: Any) -> Any:
    """A document that JSON can hold: floats rounded, None for those that are not finite."""
    if isinstance(value, Mapping):
        return {key: as_written(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [as_written(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def dotted(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document with tables one level deep as a flat one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        is_table = isinstance(value, Mapping)
        flat |= (
            {f"{key}.{name}": entry for name, entry in value.items()} if is_table else {key: value}
        )
    return flat
