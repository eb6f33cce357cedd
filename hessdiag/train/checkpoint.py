"""Checkpoints by orbax: the bytes of the state's leaves, in their order, as one array.

One array, because orbax leaves tracebacks of the others behind when one of many cannot be read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from hessdiag.errors import UsageError

KEPT = 2


class Checkpoints:
    """The checkpoints of one run, by iteration; a half-written one is never seen."""

    def __init__(self, directory: Path):
        options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, enable_async_checkpointing=False)
        self._directory = directory
        self._manager = ocp.CheckpointManager(directory.resolve(), options=options)

    def latest(self) -> int | None:
        """The iteration of the newest checkpoint."""
        return self._manager.latest_step()

    def kept(self) -> set[int]:
        """The iterations of all checkpoints."""
        return set(self._manager.all_steps())

    def forget_after(self, iteration: int) -> None:
        """Delete later checkpoints: orbax saves nothing before its newest one."""
        for step in self.kept():
            if step > iteration:
                self._manager.delete(step)

    def save(self, iteration: int, state: Any) -> None:
        """Save the state before `iteration`; nothing happens where it is saved already."""
        if self.latest() == iteration:
            return
        self._manager.save(iteration, args=ocp.args.StandardSave(_packed(state)))
        self._manager.wait_until_finished()

    def restore(self, iteration: int, template: Any) -> Any:
        """The state saved before `iteration`, in the form of `template`.

        Raises:
            UsageError: the checkpoint is damaged, or of a different run.
        """
        expected = _packed(template)
        try:
            packed = self._manager.restore(iteration, args=ocp.args.StandardRestore(expected))
        except Exception as error:  # orbax and its stores raise many kinds
            first_line = str(error).strip().splitlines()[:1]
            raise UsageError(
                f"--resume: the checkpoint {self._directory / str(iteration)} is damaged "
                f"({type(error).__name__}: {''.join(first_line)[:200]})"
            ) from error
        found, wanted = packed["state"].size, expected["state"].size
        if found != wanted:
            raise UsageError(
                f"--resume: the checkpoint {self._directory / str(iteration)} is damaged "
                f"({found} bytes instead of {wanted})"
            )
        return _unpacked(template, packed)

    def close(self) -> None:
        """Release the manager's threads."""
        self._manager.close()


def _is_key(leaf) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _data(leaf) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _packed(state: Any) -> dict[str, np.ndarray]:
    parts = [np.frombuffer(_data(leaf).tobytes(), np.uint8) for leaf in jax.tree.leaves(state)]
    return {"state": np.concatenate(parts)}


def _unpacked(template: Any, packed: Mapping[str, Any]) -> Any:
    leaves, structure = jax.tree.flatten(template)
    data = [_data(leaf) for leaf in leaves]
    parts = np.split(np.asarray(packed["state"]), np.cumsum([part.nbytes for part in data])[:-1])
    restored = [
        jnp.asarray(part.view(like.dtype).reshape(like.shape))
        for part, like in zip(parts, data, strict=True)
    ]
    return jax.tree.unflatten(
        structure,
        [
            jax.random.wrap_key_data(part) if _is_key(leaf) else part
            for part, leaf in zip(restored, leaves, strict=True)
        ],
    )
