"""Checkpoints by orbax: the bytes of the state's leaves, in their order, as one array.

One array, because orbax leaves tracebacks of the others behind when one of many cannot be read.
"""

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
        if self.latest() != iteration:
            self._manager.save(iteration, args=ocp.args.StandardSave({"state": _packed(state)}))
            self._manager.wait_until_finished()

    def restore(self, iteration: int, template: Any) -> Any:
        """The state saved before `iteration`, in the form of `template`.

        Raises:
            UsageError: the checkpoint is damaged, or of a different run.
        """
        expected = _packed(template)
        damaged = f"--resume: the checkpoint {self._directory / str(iteration)} is damaged"
        try:
            arguments = ocp.args.StandardRestore({"state": expected})
            packed = np.asarray(self._manager.restore(iteration, args=arguments)["state"])
        except Exception as error:  # orbax and its stores raise many kinds
            said = "".join(str(error).strip().splitlines()[:1])[:200]
            raise UsageError(f"{damaged} ({type(error).__name__}: {said})") from error
        if packed.size != expected.size:
            raise UsageError(f"{damaged} ({packed.size} bytes instead of {expected.size})")
        return _unpacked(template, packed)

    def close(self) -> None:
        """Release the manager's threads."""
        self._manager.close()


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _data(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _packed(state: Any) -> np.ndarray:
    leaves = jax.tree.leaves(state)
    return np.concatenate([np.frombuffer(_data(leaf).tobytes(), np.uint8) for leaf in leaves])


def _unpacked(template: Any, packed: np.ndarray) -> Any:
    leaves, structure = jax.tree.flatten(template)
    ends = np.cumsum([_data(leaf).nbytes for leaf in leaves])
    return jax.tree.unflatten(structure, map(_restored, leaves, np.split(packed, ends[:-1])))


def _restored(like: Any, part: np.ndarray) -> jax.Array:
    data = _data(like)
    restored = jnp.asarray(part.view(data.dtype).reshape(data.shape))
    if _is_key(like):
        return jax.random.wrap_key_data(restored, impl=jax.random.key_impl(like))
    return restored
