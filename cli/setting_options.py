"""Settings as options of a command, and KEY=VALUE."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from hessdiag.declared import Setting
from hessdiag.errors import UsageError

_TYPES = {int: int, float: float, float | None: float, bool: bool}


def setting_options(settings: Iterable[Setting], *, several: bool = False) -> Callable:
    """Adds an option for every setting, in their order, to a command.

    Each takes a value of the setting's type, or the text of several values.
    """

    def decorate(command: Callable) -> Callable:
        for setting in reversed([*settings]):
            command = click.option(
                *setting.flag.split(),
                _parameter(setting.key),
                default=None,
                type=str if several else _TYPES.get(setting.kind, str),
                metavar="V1,V2" if several else None,
                help=_help(setting),
            )(command)
        return command

    return decorate


def given(settings: Iterable[Setting], values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a command was given by flags, by dotted key."""
    by_key = {setting.key: values.get(_parameter(setting.key)) for setting in settings}
    return {key: value for key, value in by_key.items() if value is not None}


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
    except (ValueError, RecursionError):
        return key, value


def _parameter(key: str) -> str:
    return key.replace(".", "__")


def _help(setting: Setting) -> str:
    """What it is, with its default unless that is plain from it or the problem's own."""
    what = f"{setting.help[0].upper()}{setting.help[1:]}."
    default = setting.default
    if setting.key.startswith(("learning.", "problem.")) or default in (None, ()):
        return what
    shown = ",".join(default) if isinstance(default, tuple) else default
    return what if isinstance(default, bool) else f"{what}  [{shown}]"
