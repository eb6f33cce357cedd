"""Devices of this machine that share work: each gets a part of it, and a copy of all else.

The function that runs on a part is the one that a single device runs on the whole, so that results
are the same to rounding. One device is no special case for whoever uses this: nothing is moved, and
programs are what they would be without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from hessdiag.errors import UsageError

_AXIS = "devices"
_PARTS, _COPIES = PartitionSpec(_AXIS), PartitionSpec()


@dataclass(frozen=True)
class Devices:
    """Some devices; the first one does whatever is not shared out.

    Attributes:
        several: the devices, two or more; empty stands for the one that JAX takes by itself.
    """

    several: tuple[Any, ...] = ()

    @property
    def number(self) -> int:
        """How many they are."""
        return max(1, len(self.several))

    def at_most(self, number: int) -> "Devices":
        """The first ones, no more than `number`."""
        return Devices(self.several[:number]) if number > 1 else ONE

    def dividing(self, number: int) -> "Devices":
        """The most of them that get equal shares of `number` things."""
        shares = (count for count in range(self.number, 0, -1) if number % count == 0)
        return self.at_most(next(shares))

    def spread(self, function: Callable[..., Any], parts: Any, *shared: Any) -> Any:
        """`function(parts, *shared)`, where every device runs it on its share of the parts.

        Works under jit, and only there.

        Args:
            function: stacked parts, however many, and `shared` → anything stacked like the parts.
            parts: pytree of arrays, stacked along axis 0; the last shares are filled up.
            shared: pytrees of arrays that every device needs.
        """
        if self.number == 1:
            return function(parts, *shared)
        count = len(jax.tree.leaves(parts)[0])
        filled = np.arange(-(-count // self.number) * self.number) % count
        on_each = jax.shard_map(
            function,
            mesh=self._mesh,
            in_specs=(_PARTS, *(_COPIES for _ in shared)),
            out_specs=_PARTS,
            check_vma=False,  # nothing is added up over devices
        )
        if len(filled) == count:
            return on_each(parts, *shared)
        results = on_each(jax.tree.map(lambda leaf: leaf[filled], parts), *shared)
        return jax.tree.map(lambda leaf: leaf[:count], results)

    def places(self, form: Any, is_split: Callable[[Any], bool]) -> Any:
        """Where each array of a pytree of that form lies: split along axis 0, or on every device.

        Args:
            form: pytree of arrays, or of their shapes.
            is_split: whether an array of it is split; its length is one that they divide.
        """
        mesh = self._mesh
        return jax.tree.map(
            lambda leaf: NamedSharding(mesh, _PARTS if is_split(leaf) else _COPIES), form
        )

    def split(self, stacked: Any) -> Any:
        """The pytree of arrays with equal shares of axis 0 on each; see `dividing`."""
        return self._put(stacked, _PARTS)

    def copies(self, tree: Any) -> Any:
        """The pytree of arrays whole on each."""
        return self._put(tree, _COPIES)

    def first(self, tree: Any) -> Any:
        """The pytree of arrays whole on the first one, where they may lie on several."""
        return jax.device_put(tree, self.several[0]) if self.several else tree

    def _put(self, tree: Any, spec: PartitionSpec) -> Any:
        return tree if self.number == 1 else jax.device_put(tree, NamedSharding(self._mesh, spec))

    @property
    def _mesh(self) -> Mesh:
        return Mesh(np.array(self.several), (_AXIS,))


ONE = Devices()
"""The device that JAX takes by itself."""


def local_devices(number: int | None = None) -> Devices:
    """So many devices of this machine; all of them if it is None.

    Raises:
        UsageError: there are fewer, or none is asked for.
    """
    here = jax.local_devices()
    if number is not None and not 1 <= number <= len(here):
        allowed = "1" if len(here) == 1 else f"1 to {len(here)}"
        raise UsageError(
            f"--devices: {number} is not allowed; allowed: {allowed}, which JAX sees here"
        )
    chosen = here[:number]
    return Devices(tuple(chosen)) if len(chosen) > 1 else ONE
