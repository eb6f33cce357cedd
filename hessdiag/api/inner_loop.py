"""Spectra of every operator along an optax inner loop, in one call."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
import xarray
from jaxtyping import PyTree
from matplotlib.figure import Figure
from rich.table import Table

from hessdiag import spectra
from hessdiag.api.arguments import (
    known_arguments,
    require_progress,
    require_tolerance,
    require_whole,
)
from hessdiag.api.chunks import require_mean
from hessdiag.api.loop_arguments import (
    inner_state,
    require_operators,
    require_update,
    stacked_batches,
)
from hessdiag.api.notes import not_converged, not_finite
from hessdiag.api.plots import inner_loop_figure
from hessdiag.api.programs import InnerLoopPrograms, inner_loop_programs
from hessdiag.api.progress import Watch
from hessdiag.api.result import Result, compact_table, described, provenance
from hessdiag.api.trainable import Held, OnFloats
from hessdiag.inner import InnerState, InnerUpdate
from hessdiag.inner.update import LossWithoutEta
from hessdiag.probes.inner_loop import (
    OPERATORS,
    InnerLoopSettings,
    inner_loop_variables,
    operator_names,
)
from hessdiag.record import schema
from hessdiag.report.numbers import MISSING, with_error
from hessdiag.report.select import shown_error
from hessdiag.train.self_test import require_sound_compiler

_ENDS = ("hessian_min", "hessian_max")
_LONG_NAMES = {
    "loss": "value of the inner loss",
    "inner_step": "index of the inner step",
    "operator": "what an inner step multiplies perturbations by",
    "term": "index i of the product over the last i - 1 inner steps",
}


class InnerLoopResult(Result):
    """Spectral radii, norms of products and normality of every operator, by inner step."""

    slug = "inner-loop"

    def tables(self) -> list[Table]:
        """Hessians and spectral radii by inner step, and the norms of the products."""
        hessian = self.dataset.isel(unroll=0)
        ends = compact_table("Hessian", "inner step", "smallest eigenvalue", "largest eigenvalue")
        for j in hessian["inner_step"].values:
            step = hessian.sel(inner_step=j)
            ends.add_row(str(j), *(_with_error(step, name) for name in _ENDS))
        tables = [ends]
        if self.dataset.sizes["operator"]:
            radii = self._by_operator("Spectral radius minus one", "inner_step", 0, _radius)
            radii.caption = (
                "± bound on the error; after ≈ the first-order error, where the bound says nothing"
            )
            tables.append(radii)
        if "product_norm_minus_one" in self.dataset:
            title = "Norm of the product over the last i − 1 steps, minus one"
            tables.append(self._by_operator(title, "term", 1, _norm))
        return tables

    def notes(self) -> list[str]:
        """What is no number, and where that comes from; what has not converged; what was held."""
        notes = not_finite(self.dataset) + not_converged(self.dataset)
        if held := self.dataset.attrs.get("held"):
            notes.append(f"Held constant, for they are no floating numbers: {held}.")
        return notes

    def figure(self) -> Figure:
        """Radii and norms, with their errors."""
        return inner_loop_figure(self.dataset)

    def _by_operator(
        self, title: str, rows: str, first: int, text: Callable[[xarray.Dataset], str]
    ) -> Table:
        """A row for each inner step or term, from the first one on, a column for each operator."""
        data = self.dataset.isel(operator_unroll=0)
        names = data["operator"].values
        table = compact_table(title, "term i" if rows == "term" else "inner step", *names)
        for number in data[rows].values[first:]:
            row = data.sel({rows: number})
            table.add_row(str(number), *(text(row.sel(operator=name)) for name in names))
        return table


def _with_error(data: xarray.Dataset, name: str) -> str:
    return with_error(float(data[name]), float(data[f"{name}_error"]))


def _norm(cell: xarray.Dataset) -> str:
    return with_error(float(cell.product_norm_minus_one), float(cell.product_norm_error))


@known_arguments
@spectra.one_lapack_thread
def inner_loop_spectra(
    update: InnerUpdate,
    state: InnerState | tuple[PyTree, Any],
    batches: PyTree | list[Any],
    *,
    operators: tuple[str, ...] = OPERATORS,
    products: bool = True,
    starts: int = 2,
    max_matvecs: int = 60,
    tolerance: float = 1e-3,
    chunk_size: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], object] | bool | None = None,
) -> InnerLoopResult:
    """Run an inner loop and measure what each of its steps multiplies perturbations by.

    A call with an equal update (the same functions), equal options and equal shapes as one of the
    last few compiles nothing again; as under `jax.jit`, what a function closes over is then what it
    was when it was traced.

    Args:
        update: The inner update.
        state: (parameters, optimiser state) before the first step: `update.init(params)`, or any
            state of a run. Parameters that are no floating arrays are held constant.
        batches: The batch of every inner step: a list, a tuple, an iterator or a loader of batches
            of one size, or a pytree of their leaves stacked along a leading axis. Where that axis
            could as well be one of examples, it is asked for.
        operators: Some of "paper" (I - alpha Hessian, if the update has a learning rate),
            "preconditioned", "update" and "augmented".
        products: Measure the norms of products over inner steps, too.
        starts: Random start vectors of each Hessian's spectrum.
        max_matvecs: Products per run at the most.
        tolerance: Residual, relative to the norm, at which the wanted end counts as converged.
        chunk_size: Examples per chunk, for batches that do not fit into memory at once: the leaves
            of each batch then have a common leading axis, over which the loss is a mean.
        seed: Of start vectors and probes.
        progress: Called with spectra done, and spectra in all, after each; what it raises ends the
            call. None for a bar in terminals and notebooks, of a call that takes long; False for
            neither.

    Returns:
        The result; print it, `plot` it, `save` it. What cannot be measured is NaN there, and named
        in its `notes`: a Hessian that is not symmetric, a product that is not finite.

    Raises:
        TypeError, ValueError: An argument is not what it is to be; or the update does not repeat;
            or, with `chunk_size`, the loss is no mean over examples.
        UsageError: The optimiser has no derivative.
    """
    settings = InnerLoopSettings(
        require_operators(operators),
        bool(products),
        starts=require_whole("starts", starts, 1),
        max_matvecs=require_whole("max_matvecs", max_matvecs, 1),
        tolerance=require_tolerance(tolerance),
    )
    require_whole("seed", seed, 0)
    require_whole("chunk_size", 1 if chunk_size is None else chunk_size, 1)
    require_progress(progress)
    require_update(update)
    state, held = inner_state(update, state)
    require_sound_compiler()
    programs = inner_loop_programs(_on_floats(update, held), chunk_size, settings)
    batches = stacked_batches(batches, partial(programs.accepts, state.params))
    _require_sound(programs, state, jax.tree.map(lambda leaf: leaf[0], batches))
    points = programs.points(state, batches)
    steps = np.arange(len(jax.tree.leaves(batches)[0]))
    total = programs.loop.units(len(steps), has_rate=update.learning_rate is not None)
    with Watch(total, progress, what="spectra") as watch:
        advance = lambda: watch.note(watch.done + 1)  # noqa: E731
        measured = [programs.loop.measure(points, jax.random.key(seed), progress=advance)]
    dataset = schema.described(
        inner_loop_variables(measured),
        coords={"inner_step": steps, "operator": operator_names(measured), "term": 1 + steps},
        attrs=provenance(seed, tolerance, spectra.Space.like(state[0]).dtype),
    )
    dataset["loss"] = "inner_step", measured[0].losses
    dataset.attrs["held"] = ", ".join(held.names)
    return InnerLoopResult(described(dataset, _LONG_NAMES))


def _require_sound(programs: InnerLoopPrograms, state: InnerState, batch: PyTree) -> None:
    """Refuse an update that does not repeat, and a loss in chunks that is no mean."""
    values = [float(value) for value in programs.values(state.params, batch)]
    require_mean(values, spectra.Space.like(state.params).dtype)
    if not programs.repeats(state, batch):
        raise ValueError(
            "update: the update is not deterministic: run or traced again, it is another; allowed: "
            "functions of their arguments alone, with fixed random keys and data order"
        )


def _on_floats(update: InnerUpdate, held: Held) -> InnerUpdate:
    """The update of the floating leaves alone."""
    if not held:
        return update
    assert isinstance(update.loss, LossWithoutEta)
    return replace(update, loss=LossWithoutEta(OnFloats(update.loss.loss, held)))


def _radius(cell: xarray.Dataset) -> str:
    """The radius with the bound on its error, or with the estimate where that says more."""
    value = float(cell.operator_radius_minus_one)
    if not np.isfinite(value):
        return MISSING
    errors = (cell.operator_radius_error.values, cell.operator_radius_estimate.values)
    error, bounded = shown_error(np.asarray(value), *errors)
    text = with_error(value, float(error))
    return text if bounded else f"≈ {text}"
