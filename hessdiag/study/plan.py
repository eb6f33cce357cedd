"""Where the grid of a study comes from: flags over a TOML file over a named study."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from hessdiag.errors import UsageError
from hessdiag.study.grid import Grid
from hessdiag.study.named import STUDIES
from hessdiag.train.presets import read_toml


def planned(
    name: str | None, config: Path | None, common: Mapping[str, Any], varied: Mapping[str, Any]
) -> Grid:
    """The named study, changed by the file, changed by the flags.

    Args:
        name: a study that ships with the tool.
        config: a TOML file of settings, with a table [vary] of lists.
        common: settings of all cells, by dotted key.
        varied: lists of values, by dotted key.

    Raises:
        UsageError: an unknown name, a file that cannot be read, something that is no list.
    """
    if name is not None and name not in STUDIES:
        raise UsageError(f"study {name!r} is unknown; allowed: {', '.join(STUDIES)}")
    grid = Grid()
    if name is not None:
        shipped = files("hessdiag.study.named").joinpath(f"{name}.toml")
        grid = _changed(grid, *_read(Path(str(shipped))))
    if config is not None:
        grid = _changed(grid, *_read(config))
    return _changed(grid, common, varied)


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a TOML file fixes, and what it varies."""
    document = read_toml(file)
    fixed = {key: value for key, value in document.items() if not key.startswith("vary.")}
    vary = {key.removeprefix("vary."): value for key, value in document.items() if key not in fixed}
    for key, values in vary.items():
        if not isinstance(values, list):
            raise UsageError(f"vary.{key}: {values!r} is not allowed; allowed: a list")
    return fixed, vary


def _changed(grid: Grid, common: Mapping[str, Any], varied: Mapping[str, Any]) -> Grid:
    """The grid with settings fixed or varied anew; what is fixed varies no more, and vice versa."""
    fixed = {key: value for key, value in grid.common.items() if key not in varied}
    vary = {key: values for key, values in grid.varied.items() if key not in common}
    return Grid({**fixed, **common}, {**vary, **varied})
