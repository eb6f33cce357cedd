"""What a run, a study or a probe of a loop found: to print, to plot and to compute with."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Answer, Check, Findings, findings
from hessdiag.errors import UsageError
from hessdiag.record.atomic import write_atomically
from hessdiag.report import notebook
from hessdiag.report.figures.canvas import styled
from hessdiag.report.figures.horizons import draw_growth
from hessdiag.report.select import measured as measured_configurations
from hessdiag.report.terminal import as_json, first_screen, full


class Diagnosis:
    """Findings with everything that a notebook asks of them.

    Attributes:
        findings: all of it as data.
    """

    def __init__(self, findings: Findings):
        self.findings = findings

    @property
    def verdict(self) -> tuple[Answer, ...]:
        """Every question with its status and the numbers that decide it."""
        return self.findings.verdict

    @property
    def checks(self) -> tuple[Check, ...]:
        """What makes numbers less certain than they look, by code."""
        return self.findings.checks

    @property
    def probes(self) -> xarray.Dataset:
        """All probes by cell and iteration, labelled; a run, or a loop, is one cell."""
        cells = {
            name: _joined([p.expand_dims(iteration=[p.attrs["iteration"]]) for p in probes])
            for name, probes in self.findings.probes.items()
            if probes
        }
        named = [data.expand_dims(cell=[name]) for name, data in cells.items()]
        return _joined(named, "cell") if named else xarray.Dataset()

    def frame(self, table: str = "spread") -> pd.DataFrame:
        """A table of the findings.

        Args:
            table: "spread", growth and noise by horizon with intervals, or any other name of
                `findings.tables`.

        Raises:
            KeyError: There is no such table; the message names those that are there.
        """
        if table not in self.findings.tables:
            raise KeyError(f"no table {table!r}; there are: {', '.join(self.findings.tables)}")
        return self.findings.tables[table].copy()

    def to_markdown(self, table: str = "spread") -> str:
        """A table of the findings in Markdown; arguments as for `frame`."""
        data = self.frame(table)
        rows = [[*data.columns], ["---"] * len(data.columns)]
        rows += [[_cell(value) for value in row] for row in data.itertuples(index=False)]
        return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)

    def plot(self, axes: Axes | None = None) -> Figure:
        """Growth of the noise with the number of inner steps, cuts and the paper's formula.

        Args:
            axes: matplotlib axes to draw into; None for a new figure.

        Returns:
            The figure, which a notebook displays.

        Raises:
            UsageError: no growth is measured.
        """
        measured = measured_configurations(self.findings)
        if not measured:
            raise UsageError("plot: no growth is measured; allowed: findings with n of 2 or more")
        with styled("growth"):
            axes = axes or Figure(figsize=(5.4, 3.4), layout="constrained").subplots()
            draw_growth(axes, self.findings, measured[0])
        return cast(Figure, axes.figure)

    def save(self, path: str | Path) -> Path:
        """Write the findings as JSON, whole or not at all; null stands for what is no number."""
        path = Path(path).expanduser()
        write_atomically(path, as_json(self.findings) + "\n")
        return path

    def full(self) -> str:
        """All answers in sentences, and every table."""
        return "\n".join(full(self.findings))

    def __str__(self) -> str:
        return "\n".join(first_screen(self.findings))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        figure = self.plot() if measured_configurations(self.findings) else None
        return notebook.shown(str(self), figure, "growth of the noise")


def _joined(parts: Sequence[xarray.Dataset], along: str = "iteration") -> xarray.Dataset:
    """Datasets one after the other; what is shorter without labels, such as Ritz values, is NaN."""
    longest: dict[Any, int] = {}
    for part in parts:
        for name, size in part.sizes.items():
            longest[name] = max(size, longest.get(name, 0))
    even = []
    for part in parts:
        lacking = {
            name: (0, longest[name] - size)
            for name, size in part.sizes.items()
            if name not in part.indexes and size < longest[name]
        }
        even.append(part.pad(lacking) if lacking else part)
    joined: Any = xarray.concat(even, along, join="outer", combine_attrs="drop_conflicts")
    return joined


def open_run(directory: str | Path, *, muted: Collection[str] = ()) -> Diagnosis:
    """What the run in a directory found, without JAX.

    Args:
        directory: of the run.
        muted: codes of checks that are not to be told, such as "HD004".

    Raises:
        UsageError: It is no run directory, or a file is damaged.
    """
    return _opened(directory, "run", muted)


def open_study(directory: str | Path, *, muted: Collection[str] = ()) -> Diagnosis:
    """What the study in a directory found, without JAX; arguments as for `open_run`."""
    return _opened(directory, "study", muted)


def _opened(directory: str | Path, kind: str, muted: Collection[str]) -> Diagnosis:
    path = Path(directory).expanduser()
    found = findings(path, muted=muted)
    if found.kind != kind:
        raise UsageError(f"{path}: a {found.kind}, not a {kind}; allowed: open_{found.kind}")
    return Diagnosis(found)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
