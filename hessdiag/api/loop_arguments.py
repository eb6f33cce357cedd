"""What `inner_loop_spectra` is given, refused in one line where it cannot be measured."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hessdiag.api.trainable import Held
from hessdiag.inner import InnerState, InnerUpdate
from hessdiag.probes.inner_loop import OPERATORS

MOST_STEPS = 10_000
"""Batches that an iterator may give: one that never ends would fill the memory."""

FEW = 16
"""Inner steps of vectors up to which nobody is asked whether they are examples."""

_NO_SCALAR = "it gives"
_ALLOWED = (
    "a list of batches, one for each inner step, or their leaves stacked along a new first axis"
)


def require_operators(operators: Any) -> tuple[str, ...]:
    """Some of `OPERATORS`."""
    names = (operators,) if isinstance(operators, str) else operators
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"operators={operators!r}: allowed: some of {', '.join(OPERATORS)}")
    names = tuple(names)
    if unknown := [name for name in names if name not in OPERATORS]:
        raise ValueError(
            f"operators: {', '.join(unknown)} unknown; allowed: {', '.join(OPERATORS)}"
        )
    return names


def require_update(update: Any) -> None:
    """An inner update with a loss of (params, batch)."""
    if not isinstance(update, InnerUpdate):
        raise TypeError(
            f"update: a {type(update).__name__}; allowed: hessdiag.OptaxUpdate(loss, optimiser)"
        )


def inner_state(update: InnerUpdate, state: Any) -> tuple[InnerState, Held]:
    """The state with the floating leaves of its parameters alone, and what is held of the others.

    Raises:
        TypeError: It is no state, or no parameter is a floating array.
        ValueError: The optimiser's part is not of these parameters.
    """
    if not (isinstance(state, tuple) and len(state) in (2, 3)):
        raise TypeError(
            f"state: a {type(state).__name__}; allowed: update.init(params), or a pair of "
            "parameters and optimiser state"
        )
    state = InnerState(*state)
    held = Held.of(state.params)
    floats = held.floats(state.params)
    if not jax.tree.leaves(floats):
        raise TypeError("state: none of its parameters is a floating array; allowed: one or more")
    wanted = jax.tree.structure(jax.eval_shape(update.optimiser.init, floats))
    found = jax.tree.structure(state.opt_state)
    if wanted != found:
        raise ValueError(
            f"state: its optimiser state is {_short(found)}, of other parameters or another "
            f"optimiser; allowed: {_short(wanted)}, as update.init(params) gives it"
        )
    return state._replace(params=floats), held


def stacked_batches(batches: Any, accepts: Callable[[Any], str | None]) -> Any:
    """The batches of all inner steps, stacked.

    Args:
        batches: As people have them.
        accepts: batch -> why the loss does not take it; None where it does.

    Raises:
        TypeError, ValueError: They are no batches, or could be one batch.
    """
    if isinstance(batches, str | bytes):
        raise TypeError(f"batches: {batches!r}; allowed: {_ALLOWED}")
    if not isinstance(batches, list) and jax.tree_util.all_leaves([batches]):
        batches = _listed(batches)
    elif type(batches) is tuple and _is_sequence(batches, accepts):
        batches = list(batches)
    if isinstance(batches, list):
        batches = _stacked(batches)
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(batches)]
    if not shapes or any(shape[:1] != shapes[0][:1] or not shape for shape in shapes):
        raise ValueError(f"batches: leaves of shapes {_listing(shapes)}; allowed: {_ALLOWED}")
    if shapes[0][0] == 0:
        raise ValueError(f"batches: none, of shapes {_listing(shapes)}; allowed: one or more")
    first = jax.tree.map(lambda leaf: leaf[0], batches)
    reason = accepts(first)
    if reason is not None and reason.startswith(_NO_SCALAR):
        raise TypeError(f"loss: {reason}; allowed: a real scalar")
    if reason is not None:
        whole = accepts(batches) is None
        hint = "; all leaves together are one batch that it takes: [batch]" if whole else ""
        raise TypeError(
            f"batches: the loss does not take the first one, leaves of shapes "
            f"{_listing([shape[1:] for shape in shapes])} ({reason}); allowed: {_ALLOWED}{hint}"
        )
    if _look_like_examples(shapes) and accepts(batches) is None:
        raise ValueError(
            f"batches: leaves of shapes {_listing(shapes)} are {shapes[0][0]} inner steps of one "
            f"example each, or one batch of {shapes[0][0]}; allowed: [batch] for one step, and for "
            f"{shapes[0][0]} steps a list of as many, or leaves of shape ({shapes[0][0]}, 1, …)"
        )
    return batches


def _look_like_examples(shapes: list[tuple[int, ...]]) -> bool:
    """Whether a batch that was not stacked could have these shapes."""
    has_numbers = any(len(shape) == 1 for shape in shapes)
    of_vectors = all(len(shape) <= 2 for shape in shapes)
    return has_numbers or (of_vectors and shapes[0][0] > FEW)


def _listed(batches: Any) -> Any:
    """What an iterator or a loader gives; arrays as they are."""
    if hasattr(batches, "dtype") and hasattr(batches, "shape"):
        return _array(batches)
    if not isinstance(batches, Iterable):
        raise TypeError(f"batches: a {type(batches).__name__}; allowed: {_ALLOWED}")
    listed = list(itertools.islice(batches, MOST_STEPS + 1))
    if len(listed) > MOST_STEPS:
        raise ValueError(
            f"batches: a {type(batches).__name__} of more than {MOST_STEPS}; allowed: so many as "
            "there are inner steps, such as itertools.islice(batches, 5)"
        )
    return listed


def _is_sequence(batches: tuple[Any, ...], accepts: Callable[[Any], str | None]) -> bool:
    """Whether a tuple holds batches, and is none."""
    leaves = jax.tree.leaves(batches)
    is_stacked = all(jnp.ndim(leaf) > 0 and len(leaf) > 0 for leaf in leaves)
    if is_stacked and accepts(jax.tree.map(lambda leaf: leaf[0], batches)) is None:
        return False
    return bool(batches) and accepts(jax.tree.map(_array, batches[0])) is None


def _stacked(batches: list[Any]) -> Any:
    if not batches:
        raise ValueError(f"batches: an empty list; allowed: {_ALLOWED}")
    batches = [jax.tree.map(_array, batch) for batch in batches]
    forms = [
        (jax.tree.structure(batch), [jnp.shape(leaf) for leaf in jax.tree.leaves(batch)])
        for batch in batches
    ]
    for j, (structure, shapes) in enumerate(forms):
        if structure != forms[0][0]:
            raise ValueError(
                f"batches: number {j} is {_short(structure)}, the first one {_short(forms[0][0])}; "
                "allowed: batches of one structure"
            )
        if shapes != forms[0][1]:
            raise ValueError(
                f"batches: number {j} has leaves of shapes {_listing(shapes)}, the first one of "
                f"{_listing(forms[0][1])}; allowed: batches of one size, such as without a smaller "
                "last one, for one program measures all inner steps"
            )
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)


def _array(leaf: Any) -> Any:
    """An array of JAX; those of other libraries are read through NumPy."""
    if isinstance(leaf, jax.Array):
        return leaf
    try:
        return jnp.asarray(np.asarray(leaf))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"batches: a {type(leaf).__name__} among the leaves; allowed: arrays"
        ) from error


def acceptance(loss: Callable[[Any, Any], Any]) -> Callable[[Any, Any], str | None]:
    """(params, batch) -> why a loss does not take the batch; None where it gives a scalar."""
    seen: dict[Any, str | None] = {}

    def accepts(params: Any, batch: Any) -> str | None:
        leaves, structure = jax.tree.flatten((params, batch))
        key = structure, tuple(str(jax.typeof(leaf)) for leaf in leaves)
        if key not in seen:
            seen[key] = _objection(loss, params, batch)
        return seen[key]

    return accepts


def _objection(loss: Callable[[Any, Any], Any], params: Any, batch: Any) -> str | None:
    try:
        value = jax.eval_shape(loss, params, batch)
    except Exception as error:  # whatever a user's loss may raise
        return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    shape = getattr(value, "shape", None)
    if shape is None:
        return f"{_NO_SCALAR} a {type(value).__name__}"
    if shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        return f"{_NO_SCALAR} {value.dtype}{list(shape)}"
    return None


def _listing(shapes: list[tuple[int, ...]]) -> str:
    more = ", …" if len(shapes) > 4 else ""
    return ", ".join(map(str, shapes[:4])) + more


def _short(structure: Any) -> str:
    text = " ".join(str(structure).split()).removeprefix("PyTreeDef")
    return text if len(text) <= 80 else f"{text[:79]}…"
