"""Checkpoints by orbax: arrays only, in the order of the state's leaves."""

from pathlib import Path
from typing import Any

import jax
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

    def save(self, iteration: int, state: Any) -> None:
        """Save the state before `iteration`; nothing happens where it is saved already."""
        if self.latest() == iteration:
            return
        self._manager.save(iteration, args=ocp.args.StandardSave(_as_arrays(state)))
        self._manager.wait_until_finished()

    def restore(self, iteration: int, template: Any) -> Any:
        """The state saved before `iteration`, in the form of `template`.

        Raises:
            UsageError: the checkpoint is damaged, or of a different run.
        """
        expected = _as_arrays(template)
        try:
            arrays = self._manager.restore(iteration, args=ocp.args.StandardRestore(expected))
        except Exception as error:  # orbax and its stores raise many kinds
            first_line = str(error).strip().splitlines()[:1]
            raise UsageError(
                f"--resume: the checkpoint {self._directory / str(iteration)} is damaged "
                f"({type(error).__name__}: {''.join(first_line)[:200]})"
            ) from error
        return _like(template, arrays)

    def close(self) -> None:
        """Release the manager's threads."""
        self._manager.close()


def _is_key(leaf) -> bool:
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _as_arrays(state: Any) -> dict[str, np.ndarray]:
    leaves = [jax.random.key_data(x) if _is_key(x) else x for x in jax.tree.leaves(state)]
    return {f"{k:05d}": np.asarray(leaf) for k, leaf in enumerate(leaves)}


def _like(template: Any, arrays: dict[str, np.ndarray]) -> Any:
    leaves, structure = jax.tree.flatten(template)
    restored = [
        jax.random.wrap_key_data(array) if _is_key(leaf) else jax.numpy.asarray(array)
        for leaf, (_, array) in zip(leaves, sorted(arrays.items()), strict=True)
    ]
    return jax.tree.unflatten(structure, restored)
