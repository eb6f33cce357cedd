"""Settings are declared once: a dataclass field with its help, its flag and what it may be.

Validation, TOML files, the command line, its help and the page of settings are made from that.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from hessdiag.errors import UsageError


@dataclass(frozen=True)
class Declared:
    """What a field says of its setting.

    Attributes:
        help: what it is, without a capital and a full stop.
        flag: on the command line; a short form follows after a space, the flag that turns a switch
            off after a slash.
        least: the smallest value.
        above: what every value is larger than.
        most: the largest value.
        below: what every value is smaller than.
        choices: gives the names that are allowed; called only when they are needed, since modules
            that know names may import JAX.
    """

    help: str = ""
    flag: str = ""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    choices: Callable[[], Iterable[str]] | None = None


def setting(default: Any, help: str, **more: Any) -> Any:
    """A field of a frozen dataclass that is a setting.

    Args:
        default: its value where none is given.
        help: what it is.
        more: see `Declared`.
    """
    return field(default=default, metadata={"declared": Declared(help, **more)})


@dataclass(frozen=True)
class Setting:
    """A setting by its dotted key.

    Attributes:
        key: in TOML files, and for `--set`.
        kind: its type.
        default: its value where none is given.
        declared: what its field says of it.
    """

    key: str
    kind: Any
    default: Any
    declared: Declared

    @property
    def name(self) -> str:
        """How messages call it."""
        flag = self.declared.flag.split(" ")[0].partition("/")[0]
        return f"{self.key} ({flag})" if flag else self.key

    @property
    def allowed(self) -> str:
        """What it may be, in words."""
        declared = self.declared
        if declared.choices:
            names = ", ".join(declared.choices())
            return f"{names} with commas between, or none" if self.kind in _LISTS else names
        least, above, most, below = (
            None if bound is None else f"{bound:g}"
            for bound in (declared.least, declared.above, declared.most, declared.below)
        )
        if above and below:
            return f"between {above} and {below}"
        if least and (most or below):
            return f"{least} to {most or f'below {below}'}"
        if least or above:
            return f"{least} or more" if least else f"more than {above}"
        return _words(self.kind)

    def checked(self, value: Any) -> Any:
        """The value, of the setting's type.

        Raises:
            UsageError: it is of another type, or not allowed.
        """
        try:
            value = _KINDS[self.kind][0](value) if self.kind in _KINDS else value
        except (TypeError, ValueError, OverflowError):
            self.refuse(value, _words(self.kind))
        for entry in value if self.kind in _LISTS else (value,):
            if entry is not None and not self._admits(entry):
                self.refuse(entry)
        return value

    def refuse(self, value: Any, allowed: str | None = None) -> NoReturn:
        """Say that a value is not allowed, and what is.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{self.name}: {value!r} is not allowed; allowed: {allowed or self.allowed}"
        )

    def _admits(self, value: Any) -> bool:
        declared = self.declared
        if declared.choices:
            return value in declared.choices()
        return (
            (declared.least is None or value >= declared.least)
            and (declared.above is None or value > declared.above)
            and (declared.most is None or value <= declared.most)
            and (declared.below is None or value < declared.below)
        )


def settings_of(source: Any, prefix: str = "") -> dict[str, Setting]:
    """The settings of a dataclass by dotted key; those of fields that are dataclasses follow.

    Args:
        source: the dataclass; anything else has none.
        prefix: what every key begins with.
    """
    fields = dataclasses.fields(source) if dataclasses.is_dataclass(source) else ()
    own: dict[str, Setting] = {}
    nested: dict[str, Setting] = {}
    for entry in fields:
        key = prefix + entry.name
        if dataclasses.is_dataclass(entry.type):
            nested |= settings_of(entry.type, f"{key}.")
        elif entry.default is not dataclasses.MISSING:
            kind = entry.type if entry.type in _KINDS else type(entry.default)
            own[key] = Setting(key, kind, entry.default, entry.metadata.get("declared", Declared()))
    return own | nested


def check_fields(instance: Any, prefix: str) -> None:
    """Refuse an instance of a dataclass with a value that its fields do not allow.

    Raises:
        UsageError: for the first such value.
    """
    for key, declared in settings_of(type(instance), prefix).items():
        declared.checked(getattr(instance, key.removeprefix(prefix)))


def _integer(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise ValueError(value)
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _instance(kind: type) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if not isinstance(value, kind):
            raise TypeError(value)
        return value

    return checked


def _optional(cast: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else cast(value)


def _pair(value: Any) -> tuple[float, float]:
    low, high = value
    return _number(low), _number(high)


def _integers(value: Any) -> tuple[int, ...]:
    """Integers from a list, from one text with commas, or a single one."""
    if isinstance(value, str):
        return tuple(int(word) for word in value.split(","))
    return tuple(_integer(entry) for entry in ([value] if isinstance(value, int) else value))


def _names(value: Any) -> tuple[str, ...]:
    """Words from a list, or from one text with commas; "none" is none of them."""
    entries = value.split(",") if isinstance(value, str) else value
    words = tuple(_instance(str)(entry).strip() for entry in entries)
    return () if words == ("none",) else words


_KINDS: dict[Any, tuple[Callable[[Any], Any], str]] = {
    int: (_integer, "an integer"),
    float: (_number, "a number"),
    bool: (_instance(bool), "true or false"),
    str: (_instance(str), "text"),
    float | None: (_optional(_number), "a number"),
    str | None: (_optional(_instance(str)), "text"),
    tuple[int, ...]: (_integers, "integers with commas between"),
    tuple[float, float]: (_pair, "two numbers"),
    tuple[str, ...]: (_names, "words with commas between, or none"),
}
_LISTS = (tuple[int, ...], tuple[str, ...])


def _words(kind: Any) -> str:
    return _KINDS[kind][1] if kind in _KINDS else getattr(kind, "__name__", str(kind))
