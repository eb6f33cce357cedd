"""Pytrees with leaves that are no parameters: what is differentiated, and what is held."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp


def trainable(tree: Any) -> Any:
    """The pytree with its floating leaves alone; None stands for each of the others.

    Optimisers of modules with integers, keys or functions among their leaves start from it:
    ``optimiser.init(hessdiag.trainable(model))``. Equinox's ``filter(model, is_inexact_array)`` is
    the same for real leaves.
    """
    return Held.of(tree).floats(tree)


@dataclass(frozen=True)
class Held:
    """A pytree's structure, and those of its leaves that are no parameters.

    Attributes:
        structure: of the whole pytree.
        others: its leaves in order; None where a parameter goes.
    """

    structure: Any
    others: tuple[Any, ...]

    @classmethod
    def of(cls, tree: Any, is_wanted: Callable[[str], bool] = lambda _: True) -> "Held":
        """What is held of a pytree: leaves that are no floats, or not wanted by their paths."""
        leaves, structure = jax.tree.flatten(tree)
        of_leaves = zip(leaves, paths(tree), _are_parameters(tree), strict=True)
        free = [_is_float(leaf) and is_wanted(path) and own for leaf, path, own in of_leaves]
        held = zip(leaves, free, strict=True)
        return cls(structure, tuple(None if is_free else leaf for leaf, is_free in held))

    def __bool__(self) -> bool:
        """Whether anything is held."""
        return any(leaf is not None for leaf in self.others)

    @property
    def names(self) -> list[str]:
        """Where the leaves are that are no parameters, whatever is wanted."""
        tree = self.structure.unflatten([True if leaf is None else leaf for leaf in self.others])
        of_leaves = zip(paths(tree), self.others, _are_parameters(tree), strict=True)
        return [
            path
            for path, leaf, own in of_leaves
            if leaf is not None and not (_is_float(leaf) and own)
        ]

    def floats(self, tree: Any) -> Any:
        """The parameters of a pytree of this structure."""
        leaves = self.structure.flatten_up_to(tree)
        pairs = zip(leaves, self.others, strict=True)
        return self.structure.unflatten([leaf if other is None else None for leaf, other in pairs])

    def whole(self, floats: Any) -> Any:
        """The pytree that has these parameters."""
        given = iter(jax.tree.leaves(floats))
        leaves = [next(given) if other is None else other for other in self.others]
        return self.structure.unflatten(leaves)

    def same_as(self, other: "Held") -> bool:
        """Whether both hold the same: programs that were traced with one serve the other."""
        return self.structure == other.structure and all(
            a is b or (type(a) is type(b) and bool(jnp.all(jnp.asarray(a == b))))
            for a, b in zip(self.others, other.others, strict=True)
        )


@dataclass(frozen=True)
class OnFloats:
    """A loss of whole pytrees as one of their parameters."""

    loss: Callable[[Any, Any], Any]
    held: Held

    def __call__(self, floats: Any, batch: Any) -> Any:
        """The loss."""
        return self.loss(self.held.whole(floats), batch)


def paths(tree: Any) -> list[str]:
    """Where each leaf of a pytree is, such as "layers.0.weight"."""
    return [
        jax.tree_util.keystr(path, simple=True, separator=".")
        for path, _ in jax.tree_util.tree_leaves_with_path(tree)
    ]


def selected(tree: Any, where: Any) -> Callable[[str], bool]:
    """Which floating leaves `where` means, by their paths.

    Raises:
        TypeError: If it is neither a text, nor several, nor a function.
        ValueError: If it means none.
    """
    if where is None:
        return lambda _: True
    texts = [where] if isinstance(where, str) else where
    if callable(where):
        is_wanted = lambda path: bool(where(path))  # noqa: E731
    elif isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
        is_wanted = lambda path: any(f".{text}." in f".{path}." for text in texts)  # noqa: E731
    else:
        raise TypeError(
            f"where={where!r}: allowed: part of a leaf's path, several such, or a "
            "function of the path"
        )
    floats = Held.of(tree)
    there = paths(floats.floats(tree))
    if not any(map(is_wanted, there)):
        shown = "a function" if callable(where) else repr(where)
        raise ValueError(f"where={shown}: no leaf; allowed: parts of {', '.join(there[:20])}")
    return is_wanted


def _are_parameters(tree: Any) -> list[bool]:
    """By leaf, whether it may be one: variables of flax that are no `Param` keep statistics."""
    flags: list[bool] = []
    for node in jax.tree.leaves(tree, is_leaf=_is_other_variable):
        is_other = _is_other_variable(node)
        flags += [not is_other] * (len(jax.tree.leaves(node)) if is_other else 1)
    return flags


def _is_other_variable(node: Any) -> bool:
    names = {kind.__name__ for kind in type(node).__mro__ if kind.__module__.startswith("flax.nnx")}
    return "Variable" in names and "Param" not in names


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, float) or jnp.issubdtype(getattr(leaf, "dtype", int), jnp.floating)
