"""Settings are declared once: a dataclass field with its help, its flag and what it may be.

Validation, TOML files, the command line, its help and the page of settings are made from that.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NoReturn

from hessdiag.errors import UsageError

_LONGEST = 1000  # characters of a value in a message


@dataclass(frozen=True)
class Setting:
    """What is known of a setting."""

    default: Any  # its value where none is given
    help: str = ""  # what it is, without a capital and a full stop
    flag: str = ""  # "--long", "--long -short" or "--on/--off"
    least: float | None = None  # the smallest value
    above: float | None = None  # what every value is larger than
    most: float | None = None  # the largest value
    below: float | None = None  # what every value is smaller than
    choices: Callable[[], Iterable[str]] | None = None  # the names allowed, when they are needed
    outer: bool = False  # whether the outer loss alone reads it: nothing does where η is fixed
    key: str = ""  # its dotted name, in TOML files and for `--set`
    kind: Any = None  # its type

    @property
    def name(self) -> str:
        """How messages call it."""
        flag = self.flag.split(" ")[0].partition("/")[0]
        return f"{self.key} ({flag})" if flag else self.key

    @property
    def allowed(self) -> str:
        """What it may be, in words."""
        least, above, most, below = self.least, self.above, self.most, self.below
        if self.choices:
            names = ", ".join(self.choices())
            return f"{names} with commas between, or none" if self.kind in _LISTS else names
        if above is not None:
            return f"more than {above:g}" if below is None else f"between {above:g} and {below:g}"
        if least is None:
            return _KINDS[self.kind][1] if self.kind in _KINDS else "what the problem takes"
        if most is below is None:
            return f"{least:g} or more"
        return f"{least:g} to below {below:g}" if most is None else f"{least:g} to {most:.10g}"

    def checked(self, value: Any) -> Any:
        """The value, of the setting's type.

        Raises:
            UsageError: it is of another type, or not allowed.
        """
        cast, words = _KINDS.get(self.kind, (lambda same: same, ""))
        if type(value) is int and self.choices and str(value) in self.choices():
            value = str(value)  # a name that is a number, as TOML reads it
        try:
            value = cast(value)
        except (TypeError, ValueError, OverflowError):
            self.refuse(value, None if self.choices else words)
        for entry in value if self.kind in _LISTS else (value,):
            if entry is not None and not self._admits(entry):
                self.refuse(entry)
        return value

    def refuse(self, value: Any, allowed: str | None = None) -> NoReturn:
        """Say that a value is not allowed, and what is.

        Raises:
            UsageError: always.
        """
        allowed = allowed or self.allowed
        raise UsageError(f"{self.name}: {shown(value)} is not allowed; allowed: {allowed}")

    def _admits(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices()
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )


def shown(value: Any) -> str:
    """A value in a message, however long it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers of thousands of digits
        return "what is given"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def setting(default: Any, help: str, flag: str = "", **more: Any) -> Any:
    """A field of a frozen dataclass that is a setting; see `Setting` for the arguments."""
    return field(default=default, metadata={"setting": Setting(default, help, flag, **more)})


def names_in(module: str, registry: str) -> Callable[[], Iterable[str]]:
    """Choices from a registry whose module is imported when they are needed: it may import JAX."""
    return lambda: getattr(import_module(module), registry)


def settings_of(source: Any, prefix: str = "") -> dict[str, Setting]:
    """The settings of a dataclass by dotted key; those of fields that are dataclasses follow.

    Every key begins with `prefix`. What is no dataclass has none.
    """
    direct: dict[str, Setting] = {}
    nested: dict[str, Setting] = {}
    for entry in dataclasses.fields(source) if dataclasses.is_dataclass(source) else ():
        key = prefix + entry.name
        if dataclasses.is_dataclass(entry.type):
            nested |= settings_of(entry.type, f"{key}.")
        elif entry.default is not dataclasses.MISSING:
            declared = entry.metadata.get("setting", Setting(entry.default))
            kind = entry.type if entry.type in _KINDS else type(entry.default)
            direct[key] = dataclasses.replace(declared, key=key, kind=kind)
    return direct | nested


def check_fields(instance: Any, prefix: str) -> None:
    """Refuse an instance of a dataclass with a value that its fields do not allow.

    Raises:
        UsageError: for the first such value.
    """
    for key, declared in settings_of(type(instance), prefix).items():
        declared.checked(getattr(instance, key.removeprefix(prefix)))


def _integer(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value or abs(value) > 2**32:
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _instance_of(kind: type) -> Callable[[Any], Any]:
    def cast(value: Any) -> Any:
        if not isinstance(value, kind):
            raise TypeError(value)
        return value

    return cast


def _or_none(cast: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else cast(value)


def _pair(value: Any) -> tuple[float, float]:
    low, high = value
    return _number(low), _number(high)


def _integers(value: Any) -> tuple[int, ...]:
    """Integers from a list, from one text with commas, or a single one."""
    if isinstance(value, str):
        return tuple(_integer(int(word)) for word in value.split(","))
    return tuple(_integer(entry) for entry in ([value] if isinstance(value, int) else value))


def _names(value: Any) -> tuple[str, ...]:
    """Words from a list, or from one text with commas; "none" is none of them."""
    entries = value.split(",") if isinstance(value, str) else value
    words = tuple(_text(entry).strip() for entry in entries)
    return () if words == ("none",) else words


_text = _instance_of(str)
_KINDS: dict[Any, tuple[Callable[[Any], Any], str]] = {
    int: (_integer, "an integer up to 2^32"),
    float: (_number, "a number"),
    bool: (_instance_of(bool), "true or false"),
    str: (_text, "text"),
    float | None: (_or_none(_number), "a number"),
    str | None: (_or_none(_text), "text"),
    tuple[int, ...]: (_integers, "integers with commas between"),
    tuple[float, float]: (_pair, "two numbers"),
    tuple[str, ...]: (_names, "words with commas between, or none"),
}
_LISTS = (tuple[int, ...], tuple[str, ...])
