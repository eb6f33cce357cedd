"""What `hessdiag.spectrum` returns: a dataset that prints, plots and saves itself."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import xarray
from rich.table import Table

from hessdiag.api.result import Result, compact_table
from hessdiag.report.numbers import plain, with_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROWS = (
    ("smallest eigenvalue", "lowest"),
    ("largest eigenvalue", "highest"),
    ("trace", "trace"),
    ("negative eigenvalues, share", "mass_negative"),
    ("zero to rounding, share", "mass_zero"),
    ("sign not resolved, share", "mass_undecided"),
)


class SpectrumResult(Result):
    """Extremes, largest eigenvalues, trace and density of one operator."""

    slug = "spectrum"

    def __init__(self, dataset: xarray.Dataset, vectors: list[Any] | None = None):
        super().__init__(dataset)
        self._vectors = vectors

    def eigenvectors(self) -> list[Any]:
        """Unit eigenvectors of the eigenvalues in `top_value`, in their order.

        Pytrees like the parameters, of NumPy arrays; None stands for leaves that were held
        constant. They are not saved.

        Raises:
            ValueError: If none were asked for, by `top`, or found.
        """
        if self._vectors is None:
            raise ValueError("top=0: no eigenvectors; allowed: spectrum(..., top=1) or more")
        return self._vectors

    def tables(self) -> list[Table]:
        """Every number with its error."""
        data = self.dataset
        table = compact_table(data.attrs["title"], "quantity", "value")
        for text, name in _ROWS:
            table.add_row(text, with_error(float(data[name]), float(data[f"{name}_error"])))
        parts = zip(data["spent"].values, data["part"].values, strict=True)
        spent = ", ".join(f"{count} {part}" for count, part in parts)
        several = data.sizes["part"] > 1
        table.add_row("products spent", str(int(data["matvecs"])) + f": {spent}" * several)
        if data["start_disagreement"] > 1:
            text = f"{plain(float(data['start_disagreement']))} times their errors"
            table.add_row("starts disagree by", text)
        if _skewed(data):
            table.add_row("basis orthogonal to", plain(float(data["orthogonality"])))
        table.add_row("ends converged", _convergence(data))
        tables = [table]
        if "top_value" in data:
            tables.append(self._largest())
        if "leaf" in data.dims:
            tables.append(self._leaves())
        return tables

    def alarms(self) -> list[str]:
        """That the loss is no number; that less was measured, or less precisely, than it seems."""
        alarms, value = [], float(self.dataset.get("loss", 0.0))
        if not np.isfinite(value):
            alarms.append(
                f"The loss is {value}: its derivatives, finite or not, are of no function."
            )
        if short := self.dataset.attrs.get("short"):
            alarms.append(short)
        if narrow := self.dataset.attrs.get("computes_in"):
            alarms.append(
                f"The loss computes in {narrow}: eigenvalues are those of what it computes, and ± "
                "has what its products were seen to round."
            )
        return alarms

    def notes(self) -> list[str]:
        """What was held constant, and in what dtype narrower parameters were measured."""
        notes = []
        if where := self.dataset.attrs.get("where"):
            notes.append(f"Of {where}, the rest held constant.")
        if held := self.dataset.attrs.get("held"):
            notes.append(f"Held constant, for they are no parameters: {held}.")
        if widened := self.dataset.attrs.get("widened"):
            notes.append(f"Parameters in {widened} were measured in {self.dataset.attrs['dtype']}.")
        return notes

    def _largest(self) -> Table:
        columns = (self.dataset[f"top_{name}"].values for name in ("value", "error", "converged"))
        table = compact_table("Largest in modulus", "eigenvalue", "converged")
        for value, error, converged in zip(*columns, strict=True):
            table.add_row(with_error(value, error), "yes" if converged else "no")
        return table

    def _leaves(self) -> Table:
        headings = (
            "size",
            "smallest eigenvalue",
            "largest eigenvalue",
            "trace",
            "share",
            "converged",
        )
        table = compact_table("Diagonal blocks of the leaves", "leaf", *headings)
        for name in self.dataset["leaf"].values:
            row = self.dataset.sel(leaf=name)
            numbers = [
                with_error(float(row[f"leaf_{kind}"]), float(row[f"leaf_{kind}_error"]))
                for kind in ("lowest", "highest", "trace", "share")
            ]
            flag = "yes" if row["leaf_converged"] else "no"
            table.add_row(str(name), str(int(row["leaf_size"])), *numbers, flag)
        return table

    def figure(self) -> "Figure":
        """Density and cumulative measure."""
        from hessdiag.api.plots import spectrum_figure

        return spectrum_figure(self.dataset)


class SpectrumInterrupted(KeyboardInterrupt):
    """A call was interrupted, as by Ctrl-C.

    Attributes:
        result: What was measured by then, with honest flags.
    """

    def __init__(self, result: SpectrumResult):
        super().__init__(f"{result.dataset.attrs['short']} It is in .result of this exception.")
        self.result = result


def as_trees(vectors: np.ndarray, like: Any) -> list[Any]:
    """Flat vectors, one a row, as pytrees of arrays."""
    leaves, structure = jax.tree.flatten(like)
    shapes = [np.shape(leaf) for leaf in leaves]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    return [
        structure.unflatten(
            [part.reshape(shape) for part, shape in zip(np.split(row, ends), shapes, strict=True)]
        )
        for row in vectors
    ]


def _skewed(data: xarray.Dataset) -> bool:
    """Whether the basis lost so much orthogonality that eigenvalues may be counted twice."""
    return bool(data["orthogonality"] > np.finfo(data.attrs["dtype"]).eps ** 0.5)


def _convergence(data: xarray.Dataset) -> str:
    if not np.isfinite(data["highest"]):
        return "no: a product is not finite"
    if not np.isfinite(data.get("loss", 0.0)):
        return "no: the loss is no number"
    if not data["converged"]:
        return "no: see the errors"
    return "yes, but the basis is not orthogonal" if _skewed(data) else "yes"
