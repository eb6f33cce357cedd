"""The cells of a study: every combination of what is varied, over what is common."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hessdiag.errors import UsageError
from hessdiag.train.presets import resolve
from hessdiag.train.settings import Settings

MOST_CELLS = 10_000


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        name: what is varied and its values, such as ``n=5 seed=1``.
        slug: the name of its run directory.
        varied: the values, by dotted key.
        settings: the complete settings.
    """

    name: str
    slug: str
    varied: Mapping[str, Any]
    settings: Settings

    @property
    def configuration(self) -> tuple[tuple[str, Any], ...]:
        """What is varied but for the seed: cells that share it compile the same programs."""
        return tuple((key, value) for key, value in self.varied.items() if key != "seed")


@dataclass(frozen=True)
class Grid:
    """What a study runs.

    Attributes:
        common: settings of all cells, by dotted key.
        varied: values by dotted key; the last one varies fastest.
    """

    common: Mapping[str, Any] = field(default_factory=dict)
    varied: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def cells(self) -> list[Cell]:
        """Every combination, validated; n = 0 has no mix and is left out of it.

        Raises:
            UsageError: a setting that is not allowed, one that is both common and varied, a value
                given twice, no cell at all or too many.
        """
        self._check()
        cells = []
        for values in itertools.product(*self.varied.values()):
            varied = dict(zip(self.varied, values, strict=True))
            if _undefined({**self.common, **varied}):
                continue
            slug = "-".join(_word(key, value) for key, value in varied.items()) or "run"
            name = " ".join(f"{_short(key)}={_text(value)}" for key, value in varied.items())
            cells.append(Cell(name, slug, varied, resolve({**self.common, **varied})))
        if not cells:
            raise UsageError("the study has no cells; allowed: at least one combination")
        return cells

    def _check(self) -> None:
        number = 1
        for key, values in self.varied.items():
            if key in self.common:
                raise UsageError(f"{key} is both fixed and varied; allowed: one of them")
            if not values:
                raise UsageError(f"{key}: no values to vary; allowed: one or more")
            if len({_text(value) for value in values}) < len(values):
                raise UsageError(f"{key}: a value is given twice; allowed: each once")
            number *= len(values)
        if number > MOST_CELLS:
            raise UsageError(f"the study has {number:,} cells; allowed: {MOST_CELLS:,} or fewer")


def _undefined(settings: Mapping[str, Any]) -> bool:
    """Whether a combination has no meaning: other estimators without an inner update."""
    default = Settings.estimator
    return settings.get("n") == 0 and settings.get("estimator", default) != default


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value)) or "none"
    return str(value)


def _word(key: str, value: Any) -> str:
    """A key and its value as part of a file name."""
    return re.sub(r"[^A-Za-z0-9.+]+", "_", f"{_short(key)}{_text(value)}")
