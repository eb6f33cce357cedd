"""The spectrum of a loss's Hessian, or of any symmetric operator on its parameters, in one call."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from hessdiag import spectra
from hessdiag.api.arguments import (
    known_arguments,
    require_batch,
    require_function,
    require_params,
    require_progress,
    require_tolerance,
    require_whole,
)
from hessdiag.api.chunks import require_mean
from hessdiag.api.measurement import Measurement
from hessdiag.api.plan import Plan
from hessdiag.api.point import point
from hessdiag.api.products import Build, Loss, NotDeterministicError, Products
from hessdiag.api.progress import Tell, Watch
from hessdiag.api.result import described, provenance
from hessdiag.api.spectrum_dataset import LONG_NAMES, spectrum_dataset
from hessdiag.api.spectrum_result import SpectrumInterrupted, SpectrumResult, as_trees
from hessdiag.api.trainable import Held, paths
from hessdiag.train.self_test import require_sound_compiler

_BUILD = "a function (params, batch) -> operator, such as one that calls spectra.gauss_newton"


@known_arguments
@spectra.one_lapack_thread
def spectrum(
    loss: Loss,
    params: PyTree[Float[Array, "..."]],
    batch: Any,
    *,
    operator: Build | None = None,
    where: str | Sequence[str] | Callable[[str], bool] | None = None,
    top: int = 0,
    per_leaf: bool = False,
    starts: int = 4,
    matvecs: int = 60,
    budget: int | None = None,
    tolerance: float = 1e-4,
    chunk_size: int | None = None,
    seed: int = 0,
    progress: Tell | bool | None = None,
) -> SpectrumResult:
    """Measure the spectrum of the Hessian of a loss.

    Small problems (`spectra.DENSE_LIMIT` parameters) are solved whole by LAPACK. Of others both
    ends come first, from two starts; then the trace, the density from further starts, the largest
    eigenvalues, the leaves.

    The loss is traced anew at every call, so that what it reads from its closure is what it is now;
    where it is the same program, on whatever arrays, nothing compiles again. Compiled programs are
    kept in the user's cache (`jax_compilation_cache_dir`, or hessdiag's own folder).

    Args:
        loss: (params, batch) -> scalar, a mean over the batch. It must give the same value each
            time: fix dropout and data order before.
        params: Where to differentiate; any pytree. Leaves that are no floating numbers, such as
            integers, keys and functions, are held constant. Floating ones of unequal or of narrow
            dtypes are measured in the widest, float32 at least.
        batch: Whatever the loss wants, one pytree of arrays.
        operator: (params, batch) -> another operator to measure instead of the Hessian, symmetric
            and on the space of `params`, such as `spectra.gauss_newton` or
            `spectra.empirical_fisher`; the loss is then not used.
        where: Which leaves vary, the others held constant: part of the path of a leaf, such as
            "layers.0" or "kernel", several such, or a function of the path.
        top: How many eigenvalues of largest modulus to find besides, with their errors and
            eigenvectors.
        per_leaf: Measure each leaf's diagonal block, too: its ends, by at most 2 `matvecs`
            products, its trace, and its share of the trace.
        starts: Random start vectors, over which densities get their errors.
        matvecs: Products per start. The first two go on, up to twice as many, as long as an end has
            not converged.
        budget: Products to spend at most, of which the ends get what they need first. None for
            whatever the other options ask for.
        tolerance: Residual, relative to the norm, at which eigenvalues count as converged.
        chunk_size: Examples per chunk, for batches that do not fit into memory at once: the batch's
            leaves then have a common leading axis, over which the loss or the operator is a mean.
        seed: Of the start vectors.
        progress: Called with the products done, and with about how many there will be. None for a
            bar, where someone sees it and the call takes long; False for none.

    Returns:
        The result; print it, `plot` it, `save` it.

    Raises:
        NonSymmetricOperatorError: If the operator is not symmetric to within rounding.
        SpectrumInterrupted: By Ctrl-C, a KeyboardInterrupt; its `result` is what was measured.
        TypeError: If an argument is of no kind that is allowed.
        ValueError: If a number is none that is allowed; if products do not repeat; if the operator
            is not on the space of `params`, or these have other leaves than floats with it; or if
            chunks of another size give another loss, which is no mean over examples then.
    """
    require_function("loss", loss, "a function (params, batch) -> one number")
    if operator is not None:
        require_function("operator", operator, _BUILD)
    if chunk_size is not None:
        require_whole("chunk_size", chunk_size, 1)
    plan = _plan(starts, matvecs, tolerance, top, budget, per_leaf, seed)
    require_progress(progress)
    require_params(params)
    require_batch(batch)
    require_sound_compiler()
    try:
        products, held, floats = point(
            loss, params, batch, operator=operator, chunk_size=chunk_size, where=where
        )
        products.prepare()
    except NotDeterministicError:
        named = "the loss" if operator is None else "operator="
        raise ValueError(
            f"{named} is not deterministic: the same product, run or traced again, is another; "
            "fix random keys and the order of the data"
        ) from None
    if plan.top > products.space.size:
        raise ValueError(f"top={top}: allowed: at most the {products.space.size} parameters")
    require_mean(products.values, products.space.dtype)
    about = provenance(seed, tolerance, products.space.dtype) | _about(
        params, held, where, products
    )
    about["title"] = "Hessian" if operator is None else "operator"
    return _measured(products, plan, floats, about, progress)


def _plan(starts, matvecs, tolerance, top, budget, per_leaf, seed) -> Plan:
    return Plan(
        starts=require_whole("starts", starts, 1),
        matvecs=require_whole("matvecs", matvecs, 1),
        tolerance=require_tolerance(tolerance),
        top=require_whole("top", top, 0),
        budget=None if budget is None else require_whole("budget", budget, 1),
        per_leaf=bool(per_leaf),
        seed=require_whole("seed", seed, 0),
    )


def _measured(
    products: Products, plan: Plan, floats: Any, about: dict[str, Any], progress: Any
) -> SpectrumResult:
    """The result; an interruption carries what there is of it."""
    names, offsets = _ranges(floats)
    with Watch(plan.expected(products.space.size), progress) as watch:
        found = Measurement(
            products,
            products.space.size,
            np.dtype(products.space.dtype),
            offsets,
            narrow="computes_in" in about,
            plan=plan,
            watch=watch,
        )
        try:
            found.measure()
        except KeyboardInterrupt as stopped:
            found.stop()
            if not found.runs:
                raise
            about["short"] = f"Stopped after {found.spent_in_all} products; {found.missing()}"
            raise SpectrumInterrupted(_result(found, names, products, floats, about)) from stopped
    if plan.budget and (missing := found.missing()):
        about["short"] = f"budget={plan.budget} was too small: {missing}"
    return _result(found, names, products, floats, about)


def _result(found: Measurement, names, products: Products, floats, about) -> SpectrumResult:
    loss = products.values[0] if products.values else None
    dataset = spectrum_dataset(found, names, loss)
    dataset.attrs |= about
    vectors = None if found.vectors is None else as_trees(found.vectors, floats)
    return SpectrumResult(described(dataset, LONG_NAMES), vectors)


def _ranges(floats: Any) -> tuple[list[str], np.ndarray]:
    """The leaves that have entries, and where each begins among all entries."""
    sizes = [int(np.prod(np.shape(leaf))) for leaf in jax.tree.leaves(floats)]
    begins = np.cumsum([0, *sizes])[:-1]
    kept = [i for i, size in enumerate(sizes) if size]
    names = paths(floats)
    return [names[i] for i in kept], begins[kept]


def _about(params: Any, held: Held, where: Any, products: Products) -> dict[str, str]:
    """What a reader has to know of the numbers, as attributes of the dataset."""
    about, dtype = {"held": ", ".join(held.names)}, np.dtype(products.space.dtype)
    if where is not None:
        about["where"] = where if isinstance(where, str) else f"{products.space.size} parameters"
    widened = sorted(
        {leaf.dtype.name for leaf in jax.tree.leaves(params) if _is_other(leaf, dtype)}
    )
    if widened:
        about["widened"] = ", ".join(widened)
    if jnp.finfo(products.narrowest).bits < jnp.finfo(dtype).bits:
        about["computes_in"] = products.narrowest
    return about


def _is_other(leaf: Any, dtype: np.dtype) -> bool:
    own = getattr(leaf, "dtype", dtype)
    return jnp.issubdtype(own, jnp.floating) and jax.dtypes.canonicalize_dtype(own) != dtype
