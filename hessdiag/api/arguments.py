"""Mistakes refused in one line, which names the argument, its value, and what is allowed."""

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def known_arguments[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """The function, which refuses names that it does not know, and lists those that it does."""
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    every = inspect.signature(function).parameters

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in kwargs.items():
            if name not in every:
                raise TypeError(
                    f"{name}={value!r}: no argument of {function.__name__}; allowed: "
                    f"{', '.join(names)}"
                )
        return function(*args, **kwargs)

    return checked


def require_whole(name: str, value: Any, least: int) -> int:
    """An integer that is at least so large."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise _refused(name, value, f"an integer of at least {least}")
    return int(value)


def require_tolerance(value: Any) -> float:
    """A number from zero on."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not value >= 0:
        raise _refused("tolerance", value, "a number that is not negative")
    if not np.isfinite(value):
        raise _refused("tolerance", value, "a finite number")
    return float(value)


def require_function(name: str, value: Any, what: str) -> None:
    """Something that can be called."""
    if callable(value):
        return
    if shape := getattr(value, "shape", ()):
        raise TypeError(f"{name}: an array of shape {tuple(shape)}; allowed: {what}")
    raise TypeError(f"{name}: {shown(value)}; allowed: {what}")


def require_params(params: Any) -> None:
    """A pytree with real floating leaves, and no training state around it."""
    if hasattr(params, "params") and hasattr(params, "opt_state"):
        name = type(params).__name__
        raise TypeError(f"params: {name}, a training state; allowed: the parameters alone, .params")
    _require_arrays("params", params, "a pytree whose floating leaves are the parameters")
    for path, node in _leaves(params, is_leaf=_is_of_optax):
        if _is_of_optax(node):
            raise TypeError(
                f"params: {_named(path)} is {type(node).__name__}, an optimiser's state; allowed: "
                "the parameters alone"
            )
    floats = 0
    for path, leaf in _leaves(params):
        dtype = getattr(leaf, "dtype", np.dtype(type(leaf)) if np.isscalar(leaf) else None)
        if dtype is not None and jnp.issubdtype(dtype, jnp.complexfloating):
            raise TypeError(
                f"params: {_named(path) or 'it'} is {dtype}; allowed: real parameters, such as "
                "real and imaginary parts in two leaves"
            )
        floats += dtype is not None and jnp.issubdtype(dtype, jnp.floating)
    if not floats:
        raise ValueError("params: no leaf is a floating array; allowed: at least one")


def require_batch(batch: Any) -> None:
    """A pytree of arrays."""
    _require_arrays(
        "batch", batch, "one pytree of arrays, what the loss takes, such as next(iter(loader))"
    )
    for path, leaf in _leaves(batch):
        if not (hasattr(leaf, "dtype") or np.isscalar(leaf)) or isinstance(leaf, str | bytes):
            raise TypeError(
                f"batch: {_named(path) or 'it'} is {shown(leaf)}; allowed: a pytree of arrays"
            )


def require_progress(progress: Any) -> None:
    """A callback, or whether to show a bar."""
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        raise _refused("progress", progress, "a function (done, total), None, or False")


def hint_at_batch(batch: Any, takes: Callable[[Any], bool]) -> str | None:
    """What to say of a batch that the loss does not take."""
    if not jax.tree.leaves(batch):
        return f"batch: {shown(batch)} without arrays; allowed: what the loss takes"
    if isinstance(batch, list | tuple) and takes(batch[0]):
        return (
            f"batch: a {type(batch).__name__} of {len(batch)} batches; allowed: one batch, what "
            "the loss takes: concatenate them, or measure them one by one"
        )
    for path, node in _leaves(batch, is_leaf=_is_ragged):
        if _is_ragged(node):
            shapes = ", ".join(str(np.shape(leaf)) for leaf in node[:4])
            return (
                f"batch: {_named(path) or 'it'} is a {type(node).__name__} of arrays of shapes "
                f"{shapes}; allowed: one array, padded or concatenated"
            )
    return None


def _is_ragged(node: Any) -> bool:
    """Arrays that differ in their first axis alone."""
    if not isinstance(node, list | tuple) or not all(hasattr(leaf, "shape") for leaf in node):
        return False
    shapes = [np.shape(leaf) for leaf in node]
    return len(set(shapes)) > 1 and len({shape[1:] for shape in shapes if shape}) == 1


def _is_of_optax(node: Any) -> bool:
    return type(node).__module__.split(".")[0] == "optax"


def _require_arrays(name: str, tree: Any, allowed: str) -> None:
    for path, leaf in _leaves(tree):
        dtype = getattr(leaf, "dtype", None)
        if type(leaf).__module__.split(".")[0] == "torch":
            raise TypeError(f"{name}: {_named(path) or 'it'} is a torch tensor; allowed: {allowed}")
        if dtype == np.dtype(object):
            raise TypeError(
                f"{name}: {_named(path) or 'it'} is an array of Python objects; allowed: {allowed}"
            )
        if not path and dtype is None and isinstance(leaf, Iterable):
            raise TypeError(f"{name}: {shown(leaf)}; allowed: {allowed}")


def _leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[tuple[Any, Any]]:
    """With their paths."""
    with warnings.catch_warnings():  # of iterators, which are refused
        warnings.simplefilter("ignore", DeprecationWarning)
        return jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_leaf)


def _named(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def shown(value: Any) -> str:
    """A value where it is short, or its kind."""
    text = repr(value)
    if isinstance(value, str | int | float | bool | None) and len(text) < 60:
        return text
    return f"a {type(value).__name__}"


def _refused(name: str, value: Any, allowed: str) -> Exception:
    kind = ValueError if isinstance(value, int | float | np.number) else TypeError
    return kind(f"{name}={shown(value)}: allowed: {allowed}")
