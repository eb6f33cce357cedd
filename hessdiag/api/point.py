"""Where a spectrum is measured: which parameters vary, in what precision, by what products."""

from collections.abc import Callable
from typing import Any

import jax

from hessdiag.api.arguments import hint_at_batch
from hessdiag.api.precision import in_wide_precision
from hessdiag.api.products import Build, Loss, Measured, NotDeterministicError, Products
from hessdiag.api.trainable import Held, selected


def point(
    loss: Loss,
    params: Any,
    batch: Any,
    *,
    operator: Build | None,
    chunk_size: int | None,
    where: Any,
) -> tuple[Products, Held, Any]:
    """Products at a point, what is held there, and the parameters that vary.

    Raises:
        ValueError: If the function is not deterministic, or does not take the batch.
    """
    is_wanted = selected(params, where)
    if operator is not None and (names := Held.of(params).names):
        raise ValueError(
            f"params: {', '.join(names)} are no floating numbers; allowed with operator=: "
            "floating arrays alone"
        )
    try:
        return _first_that_works(loss, params, batch, operator, chunk_size, is_wanted)
    except NotDeterministicError:
        raise
    except Exception as failure:
        if operator is not None or _takes(loss, params, batch):
            raise
        hint = hint_at_batch(batch, lambda one: _takes(loss, params, one))
        if hint is None:
            raise
        raise ValueError(hint) from failure


def _first_that_works(
    loss: Loss, params: Any, batch: Any, operator, chunk_size, is_wanted: Callable[[str], bool]
) -> tuple[Products, Held, Any]:
    failure: TypeError | None = None
    function = loss if operator is None else operator
    ways = in_wide_precision(function, params, batch, is_loss=operator is None)
    for way, wide, data in ways:
        held = Held.of(wide, is_wanted)
        floats = held.floats(wide)
        own = (way, None) if operator is None else (None, way)
        try:
            return Products(Measured(*own, chunk_size, held), floats, data), held, floats
        except TypeError as error:  # operands of unequal dtypes, perhaps
            failure = error
    assert failure is not None
    raise failure


def _takes(loss: Loss, params: Any, batch: Any) -> bool:
    try:
        jax.eval_shape(loss, params, batch)
    except Exception:
        return False
    return True
