"""What every result of the front door can do: print itself, plot itself, save itself."""

import abc
import importlib.metadata
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray
from jaxtyping import DTypeLike
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hessdiag.record.datasets import write_dataset

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def compact_table(title: str, *headings: str) -> Table:
    """An empty table for results: no frame, numbers to the right."""
    table = Table(title=title, title_justify="left", title_style="", box=SIMPLE_HEAD)
    for heading in headings:
        table.add_column(str(heading), justify="right", no_wrap=True)
    return table


def described(dataset: xarray.Dataset, long_names: Mapping[str, str]) -> xarray.Dataset:
    """The dataset, changed in place: long names of variables that it has, and the unit 1."""
    for name in long_names.keys() & set(dataset.variables):
        dataset[name].attrs["long_name"] = long_names[name]
        if dataset[name].dtype.kind in "biuf":
            dataset[name].attrs["units"] = "1"
    return dataset


def provenance(seed: int, tolerance: float, dtype: DTypeLike) -> dict[str, Any]:
    """Where numbers come from, as attributes of their dataset; the dtype is the products'."""
    version = importlib.metadata.version
    versions = {f"{name}_version": version(name) for name in ("hessdiag", "jax")}
    return {"seed": seed, "tolerance": tolerance, "dtype": np.dtype(dtype).name, **versions}


class Result(abc.ABC):
    """A dataset: each variable has a `long_name`, numbers have `units`.

    The dataset's own attributes say where they come from.
    """

    slug: ClassVar[str]

    def __init__(self, dataset: xarray.Dataset):
        self.dataset = dataset

    @abc.abstractmethod
    def tables(self) -> list[Table]:
        """What is printed."""

    def alarms(self) -> list[str]:
        """What is printed before the tables, a line each: why not to believe them."""
        return []

    def notes(self) -> list[str]:
        """What is printed after the tables, a line each: what else to know."""
        return []

    @abc.abstractmethod
    def figure(self) -> "Figure":
        """What is plotted."""

    def __str__(self) -> str:
        text = io.StringIO()
        # told that it is in a notebook, it would display there, and write nothing
        console = Console(file=text, width=160, color_system=None, force_jupyter=False)
        for alarm in self.alarms():
            console.print(alarm, soft_wrap=True, markup=False, highlight=False)
        if self.alarms():
            console.print()
        for table in self.tables():
            console.print(table)
            console.print()
        for note in self.notes():
            console.print(note, soft_wrap=True, markup=False, highlight=False)
        return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from hessdiag.report import notebook

        return notebook.shown(str(self), self.plot(), self.slug)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """A matplotlib figure; saved as PNG, SVG or PDF by suffix."""
        from hessdiag.report.figures.canvas import styled  # matplotlib takes its time

        with styled(self.slug):
            figure = self.figure()
            if path is not None:
                figure.savefig(path, bbox_inches="tight")
        return figure

    def save(self, path: str | Path) -> Path:
        """Write the dataset as NetCDF, which `xarray.open_dataset` reads; return the path.

        An old file is replaced; the file is whole or not there, also if the process is killed.

        Raises:
            OSError: If the file cannot be written, or its folder does not exist.
        """
        path = Path(path).expanduser()
        write_dataset(path, self.dataset)
        return path
