"""KEY=VALUE on the command line."""

import tomllib
from typing import Any

from hessdiag.errors import UsageError


def assignment(text: str, flag: str) -> tuple[str, Any]:
    """A dotted key and its value, written as in TOML; bare words are strings.

    Raises:
        UsageError: no equals sign, or nothing before it.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"{flag}: {text!r} is not allowed; allowed: KEY=VALUE")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
