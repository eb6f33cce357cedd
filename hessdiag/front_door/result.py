"""What every result of the front door can do: print itself, plot itself, save itself."""

import abc
import io
from pathlib import Path
from typing import ClassVar

import xarray
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hessdiag.report.figures.canvas import styled


def compact_table(title: str, *headings: str) -> Table:
    """An empty table for results: no frame, numbers to the right."""
    table = Table(title=title, title_justify="left", title_style="", box=SIMPLE_HEAD)
    for heading in headings:
        table.add_column(str(heading), justify="right", no_wrap=True)
    return table


class Result(abc.ABC):
    """A labelled dataset with a name.

    Attributes:
        dataset: All numbers, labelled; `long_name` and `units` are attributes of each variable.
    """

    slug: ClassVar[str]

    def __init__(self, dataset: xarray.Dataset):
        self.dataset = dataset

    @abc.abstractmethod
    def tables(self) -> list[Table]:
        """What is printed."""

    @abc.abstractmethod
    def figure(self) -> Figure:
        """What is plotted."""

    def __str__(self) -> str:
        text = io.StringIO()
        console = Console(file=text, width=160, color_system=None)
        for table in self.tables():
            console.print(table)
            console.print()
        return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())

    __repr__ = __str__

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the result.

        Args:
            path: Where to save it, as PNG, SVG or PDF by its suffix; None to leave it unsaved.

        Returns:
            The matplotlib figure, which a notebook displays.
        """
        with styled(self.slug):
            figure = self.figure()
            if path is not None:
                figure.savefig(path, bbox_inches="tight")
        return figure

    def save(self, path: str | Path) -> Path:
        """Write the dataset as NetCDF; `xarray.open_dataset` reads it.

        Args:
            path: The file, replaced if it exists.
        """
        self.dataset.to_netcdf(path, engine="h5netcdf")
        return Path(path)
