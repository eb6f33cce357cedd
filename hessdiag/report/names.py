"""What people call configurations, operators, cuts and settings."""

import itertools
import re
import tomllib
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

_LIBRARY = re.compile(r"^(gymnax|jumanji):|-(MinAtar|bsuite|misc|v\d+)$")
_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@cache
def texts(name: str) -> dict[str, dict[str, Any]]:
    """What the TOML file of this name beside this module holds."""
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


def named(kind: str, code: str) -> str:
    """What people call something; its code where names.toml has no name."""
    return texts("names")[kind].get(code, code)


operator = partial(named, "operators")  # `augmented` is the update with memory
cut = partial(named, "cuts")  # `no-memory` is without the optimiser's memory
explanation = partial(named, "explanations")  # `E3 accumulation, coherent` is the number of steps


def exponent(code: str) -> str:
    """`norm, augmented` is the most that is possible: update with memory."""
    kind, _, what = code.partition(", ")
    return ": ".join(filter(None, [named("exponents", kind), operator(what)]))


def candidate(code: str) -> str:
    """`last 3` is last terms, k = 3; `no-memory` is without the optimiser's memory."""
    family, *values = code.split(" ")
    is_number = [value.replace(".", "", 1).isdecimal() for value in values]
    if is_number != [True]:
        return cut(code)
    return named("candidates", family).format(value=values[0])


def label(code: str) -> str:
    """What an answer names: an explanation or an estimator."""
    known = explanation(code)
    return candidate(code) if known == code else known


def parameter(code: str) -> str:
    """`c_crit` is the critic weight."""
    return named("parameters", code).replace("_", " ")


def configuration(code: str) -> str:
    """`optimiser=adam` is Adam, `estimator=n-step n=5` is the 5-step meta-gradient.

    `mine: optimiser=adam` is Adam in what is called mine; `remat=False` is no remat.
    """
    if not code:
        return "all runs"
    if "=" not in code:
        return code
    whose, colon, own = code.rpartition(": ")
    if colon:
        return f"{whose}: {configuration(own)}"
    parts = dict(re.findall(r"(\S+?)=(.*?)(?= \S+=|$)", code))
    words = []
    if "estimator" in parts and "n" in parts:
        kind, n = parts.pop("estimator"), parts.pop("n")
        steps = f"{n}-step" if kind == "n-step" else f"{kind} of {n}"
        steps = f"{n}-step bootstrapped" if kind == "bootstrapped" else steps
        words.append("fixed η" if n == "0" else steps)
    words += itertools.starmap(value_of, parts.items())
    return ", ".join(words)


def value_of(key: str, value: str) -> str:
    """A setting's value: `optimiser`, `adam` is Adam; `remat`, `False` is no remat."""
    if key == "env":
        return named("values", _LIBRARY.sub("", value))
    if key in ("optimiser", "estimator"):
        return named("values", value)
    setting = named("settings", key).replace("_", " ")
    switch = {"True": setting, "False": f"no {setting}"}.get(value, f"{setting} = {value}")
    return texts("names")["switches"].get(f"{key}={value}", switch)


def number(count: float) -> str:
    """Small whole numbers in words."""
    return _NUMBERS[int(count)] if count in range(len(_NUMBERS)) else f"{count:g}"


def optimiser(settings: Mapping[str, Any], configuration: str) -> str:
    """The optimiser of a configuration, such as Adam."""
    match = re.search(r"optimiser=(\S+)", configuration)
    value = settings.get("learning.optimiser", "the optimiser")
    code = value[0] if isinstance(value, list) else value
    return named("values", match.group(1) if match else code)


def title(text: str) -> str:
    """With a capital letter in front, where that is a Latin one."""
    return text[:1].upper() + text[1:] if text[:1].isascii() else text
