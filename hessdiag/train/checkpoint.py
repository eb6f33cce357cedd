"""Checkpoints by orbax: the bytes of the state's leaves, in their order, as one array.

One array, because orbax leaves tracebacks of the others behind when one of many cannot be read.
"""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from hessdiag.errors import UsageError
from hessdiag.record.atomic import naming
from hessdiag.record.documents import read_object, write_document

KEPT = 2


class Checkpoints:
    """The checkpoints of one run, by iteration; a half-written one is never seen.

    Beside each is its note, written first: a digest of the state, and the record of that moment.
    """

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
        """Delete later checkpoints, before which orbax saves nothing, and what kills left."""
        for step in self.kept():
            if step > iteration:
                self._manager.delete(step)
        self._forget_notes()
        for half in self._directory.glob("*.orbax-checkpoint-tmp*"):
            shutil.rmtree(half)

    def _forget_notes(self) -> None:
        """Of checkpoints that are not kept any longer."""
        for note in self._directory.glob("*.json"):
            if note.stem not in map(str, self.kept()):
                note.unlink()

    def note(self, iteration: int) -> dict[str, Any]:
        """What is noted of a checkpoint; nothing of those from before there were notes.

        Raises:
            UsageError: it is damaged.
        """
        file = self._note(iteration)
        return read_object(file) if file.exists() else {}

    def _note(self, iteration: int) -> Path:
        return self._directory / f"{iteration}.json"

    def save(self, iteration: int, state: Any, record: Mapping[str, Any] | None = None) -> None:
        """Save the state before `iteration`; nothing happens where it is saved already.

        Raises:
            OSError: it cannot be written; the message names it.
        """
        if self.latest() == iteration:
            return
        packed = _packed(state)
        note = {"iteration": iteration, "state": _digest(packed), "record": record}
        write_document(self._note(iteration), note)
        with naming(self._directory / str(iteration)):
            try:
                self._manager.save(iteration, args=ocp.args.StandardSave({"state": packed}))
                self._manager.wait_until_finished()
            except Exception as error:  # orbax and its stores raise many kinds
                raise OSError(_first_line(error)) from error
        self._forget_notes()

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
            raise UsageError(f"{damaged} ({_first_line(error)})") from error
        if packed.size != expected.size:
            raise UsageError(f"{damaged} ({packed.size} bytes instead of {expected.size})")
        if self.note(iteration).get("state", _digest(packed)) != _digest(packed):
            raise UsageError(f"{damaged} (it is not as it was saved)")
        return _unpacked(template, packed)

    def close(self) -> None:
        """Release the manager's threads."""
        self._manager.close()


def _digest(packed: np.ndarray) -> str:
    return hashlib.sha256(packed.tobytes()).hexdigest()


def _first_line(error: Exception) -> str:
    said = "".join(str(error).strip().splitlines()[:1])[:200]
    return f"{type(error).__name__}: {said}"


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
