"""The cells of a study: every combination of what is varied, over what is common."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hessdiag.declared import settings_of
from hessdiag.errors import UsageError
from hessdiag.problems import factory
from hessdiag.record.digests import digest_of
from hessdiag.record.plan import WHERE, name_of, planned_settings, special, text
from hessdiag.train.launch import IMPORTED
from hessdiag.train.presets import read_toml, resolve
from hessdiag.train.settings import Settings

MOST_CELLS = 10_000
_LONGEST = 200  # characters of a directory's name
TOGETHER = 8  # cells that train as one program at the most, unless it is said
STUDIES = (
    "mechanism", "mechanism-6x6", "mechanism-12x12", "table1", "table1-6x6", "remedies-6x6",
    "across", "fig3", "fig4", "fig5", "outer-critic", "outer-critic-normalised",
    "outer-critic-snake", "minatar",
)  # fmt: skip
"""Studies that ship with the tool, a TOML file each."""


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    name: str  # what is varied and its values, such as "n=5 seed=1"
    slug: str  # of its run directory
    varied: Mapping[str, Any]  # by dotted key
    settings: Settings

    @property
    def configuration(self) -> tuple[tuple[str, Any], ...]:
        """What is varied but for the seed: cells that share it compile the same programs."""
        return tuple((key, value) for key, value in self.varied.items() if key != "seed")


@dataclass(frozen=True)
class Grid:
    """What a study runs: settings by dotted key, of all cells and varied; the last one fastest.

    Of what is common, `where.estimator.mix.n` sets n where the estimator is mix.
    """

    common: Mapping[str, Any] = field(default_factory=dict)
    varied: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def cells(self) -> list[Cell]:
        """Every combination, validated; where n = 0, only those that differ in what it reads.

        Without a meta-gradient, other estimators have no meaning, and of settings that the outer
        loss alone reads the first value stands for all.

        Raises:
            UsageError: a setting that is not allowed, one that is both common and varied, a value
                given twice, no cell at all or too many.
        """
        self._check()
        cells = []
        for values in itertools.product(*self.varied.values()):
            varied = dict(zip(self.varied, values, strict=True))
            settings = self._settings(varied)
            if settings.get("n") == 0 and not self._differs(settings):
                continue
            words = [f"{key.rpartition('.')[2]}{text(value)}" for key, value in varied.items()]
            slug = "-".join(re.sub(r"[^A-Za-z0-9.+]+", "_", word) for word in words)
            if len(slug) > _LONGEST:  # file systems take no more than 255
                slug = f"{slug[:_LONGEST]}-{digest_of(varied)[:8]}"
            cells.append(Cell(name_of(varied), slug or "run", varied, resolve(settings)))
        if not cells:
            raise UsageError("the study has no cells; allowed: at least one combination")
        return cells

    def _settings(self, varied: Mapping[str, Any]) -> dict[str, Any]:
        """Of the cell with these values; what holds for some cells alone names no code."""
        settings = planned_settings(self.common, varied)
        for key in IMPORTED:
            if key in special(self.common, {**self.common, **varied}):
                raise UsageError(f"{WHERE}…{key}: it names code; allowed: other settings")
        return settings

    def _differs(self, settings: Mapping[str, Any]) -> bool:
        """Whether fixed hyper-parameters have no other cell that trains in the same way."""
        declared = settings_of(factory(settings.get("env", Settings.env)), "problem.")
        others = [key for key in self.varied if key in declared and declared[key].outer]
        firsts = all(settings[key] == self.varied[key][0] for key in others)
        return firsts and settings.get("estimator", Settings.estimator) == Settings.estimator

    def _check(self) -> None:
        for key, value in self.common.items():
            if key.startswith(WHERE) and isinstance(value, Mapping):
                example = '"estimator.mix.n" = 3 in [where]'
                raise UsageError(f"{key}: a table is not allowed; allowed: {example}")
        number = 1
        for key, values in self.varied.items():
            if key in self.common:
                raise UsageError(f"{key} is both fixed and varied; allowed: one of them")
            if not values:
                raise UsageError(f"{key}: no values to vary; allowed: one or more")
            if len({text(value) for value in values}) < len(values):
                raise UsageError(f"{key}: a value is given twice; allowed: each once")
            number *= len(values)
        if number > MOST_CELLS:
            raise UsageError(f"the study has {number:,} cells; allowed: {MOST_CELLS:,} or fewer")

    def changed(self, common: Mapping[str, Any], varied: Mapping[str, Any]) -> "Grid":
        """With settings fixed or varied anew; what is fixed varies no more, and vice versa."""
        given = (*common, *varied)
        fixed = {
            key: value
            for key, value in self.common.items()
            if key not in varied
            and not (key.startswith(WHERE) and key.endswith(tuple(f".{new}" for new in given)))
        }
        vary = {key: values for key, values in self.varied.items() if key not in common}
        return Grid({**fixed, **common}, {**vary, **varied})


def planned(
    name: str | None, config: Path | None, common: Mapping[str, Any], varied: Mapping[str, Any]
) -> Grid:
    """The study called `name`, changed by the TOML file `config`, changed by flags as in a `Grid`.

    A file holds settings, a table [vary] of lists, and a table [where]: see `Grid`.

    Raises:
        UsageError: a file that cannot be read, something that is no list.
    """
    shipped = Path(__file__).parent / "named" / f"{name}.toml" if name else None
    grid = Grid()
    for file in filter(None, (shipped, config)):
        grid = grid.changed(*_read(file))
    return grid.changed(common, varied)


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a TOML file fixes, and what it varies."""
    document = read_toml(file)
    fixed = {key: value for key, value in document.items() if not key.startswith("vary.")}
    vary = {key.removeprefix("vary."): value for key, value in document.items() if key not in fixed}
    for key, values in vary.items():
        if not isinstance(values, list):
            raise UsageError(f"vary.{key}: {values!r} is not allowed; allowed: a list")
    return fixed, vary


def groups(cells: Sequence[Cell], together: int = TOGETHER) -> list[list[Cell]]:
    """The cells of each configuration, in their order: they train as one program.

    There are at most `together` in a group, which bounds memory.
    """
    by_configuration: dict[str, list[Cell]] = {}
    for cell in cells:
        by_configuration.setdefault(repr(cell.configuration), []).append(cell)
    return [
        list(group)
        for alike in by_configuration.values()
        for group in itertools.batched(alike, min(together, MOST_CELLS))
    ]
