"""Whether files are as they were written.

A document holds a digest of itself. The record of a moment, which summary.json and every checkpoint
have, says what the settings were, and how the lines and probes until then read.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

KEY = "sha256"  # under which a document holds the digest of the rest of it
_FILES_IN_MEMORY = 4096
_STEP = 1 << 20  # bytes read at once


def digest_of(document: Mapping[str, Any]) -> str:
    """Of what a document says; its layout does not count."""
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document with its digest."""
    content = {key: value for key, value in document.items() if key != KEY}
    return content | {KEY: digest_of(content)}


def is_whole(document: Mapping[str, Any]) -> bool:
    """Whether it is as it was sealed; one from before there were digests is."""
    return KEY not in document or document == sealed(document)


def counted(file: Path) -> list[Any]:
    """What a record says of a file: how long it is, and its digest."""
    size = file.stat().st_size
    return [size, _digest(file, size)]


def changed(directory: Path, files: Any) -> Path | None:
    """The first file that is not as a record says, if there is one; lines may follow."""
    for name, (size, digest) in files.items():
        file = directory / name
        try:
            long = file.stat().st_size
            alike = long == size or (long > size and file.suffix == ".jsonl")
            if not alike or _digest(file, size) != digest:
                return file
        except OSError:
            return file
    return None


def _digest(file: Path, size: int) -> str:
    """Of the first bytes of a file."""
    stat = file.stat()
    return _digest_of_version(file, size, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=_FILES_IN_MEMORY)
def _digest_of_version(file: Path, size: int, *_version: int) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while size > 0 and (part := stream.read(min(size, _STEP))):
            digest.update(part)
            size -= len(part)
    return digest.hexdigest()


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The first setting that differs, with both values; empty where all are alike."""
    for key in {**one, **other}:
        if one.get(key) != other.get(key):
            return f"{key} is {one.get(key)!r} and not {other.get(key)!r}"
    return ""
