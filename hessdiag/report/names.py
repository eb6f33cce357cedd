"""What people call configurations, operators, cuts and settings."""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any


@lru_cache(maxsize=1)
def named() -> dict[str, dict[str, str]]:
    """Names by kind and code, from names.toml."""
    return tomllib.loads(Path(__file__).with_name("names.toml").read_text(encoding="utf-8"))


def configuration(code: str) -> str:
    """`optimiser=adam` is Adam, `estimator=n-step n=5` is the 5-step meta-gradient."""
    if not code:
        return "all runs"
    parts = dict(re.findall(r"(\S+?)=(.*?)(?= \S+=|$)", code))
    words = []
    if "estimator" in parts and "n" in parts:
        kind, n = parts.pop("estimator"), parts.pop("n")
        words.append(
            "fixed η" if n == "0" else f"{n}-step" if kind == "n-step" else f"{kind} of {n}"
        )
    for key, value in parts.items():
        plain = named()["values"].get(value, value) if key in ("optimiser", "estimator") else None
        words.append(plain or f"{named()['settings'].get(key, key.replace('_', ' '))} = {value}")
    return ", ".join(words)


def parameter(code: str) -> str:
    """`c_crit` is the critic weight."""
    return named()["parameters"].get(code, code.replace("_", " "))


def operator(code: str) -> str:
    """`augmented` is the update with the optimiser's memory."""
    return named()["operators"].get(code, code)


def cut(code: str) -> str:
    """`no-memory` is without the optimiser's memory."""
    return named()["cuts"].get(code, code)


def explanation(code: str) -> str:
    """`E3 accumulation, coherent` is the number of steps."""
    return named()["explanations"].get(code, code)


def number(count: float) -> str:
    """Small whole numbers in words."""
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    return words[int(count)] if count == int(count) and 0 <= count <= 10 else f"{count:g}"


def optimiser(settings: Mapping[str, Any], configuration: str) -> str:
    """The optimiser of a configuration, such as Adam."""
    found = re.search(r"optimiser=(\S+)", configuration)
    value = settings.get("learning.optimiser", "the optimiser")
    code = found.group(1) if found else (value[0] if isinstance(value, list) else value)
    return named()["values"].get(str(code), str(code))


def title(text: str) -> str:
    """With a capital letter in front, where that is a Latin one."""
    return text[:1].upper() + text[1:] if text[:1].isascii() else text
