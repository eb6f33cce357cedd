"""Many samples from one training state, a chunk at a time, by one compiled program."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag.errors import NotFiniteError


class Chunks:
    """Draws samples in chunks.

    Attributes:
        program: a state and a chunk's keys to the chunk's samples; one key where chunks are of one.

    Args:
        sample: a state and a key to any pytree; pure and jit-able.
        size: samples computed at once: bounds memory.
    """

    def __init__(self, sample: Callable[[Any, PRNGKeyArray], Any], size: int):
        self.program = jax.jit(sample if size == 1 else jax.vmap(sample, in_axes=(None, 0)))
        self._size = size

    def calls(self, number: int) -> int:
        """How often the program is called for so many samples."""
        return -(-number // self._size)

    def sample(self, state: Any, keys: PRNGKeyArray, *, progress: Callable[[int], None]) -> Any:
        """A sample per key, the samples stacked along axis 0 of every leaf, on the host.

        Args:
            state: the training state; every sample starts from it.
            keys: a key per sample.
            progress: called after each chunk with the number of its samples.
        """
        num, size = len(keys), self._size
        chunks = []
        for start in range(0, num, size):
            places = np.arange(start, start + size) % num  # the last chunk is filled up
            chunk = self.program(state, keys[start] if size == 1 else keys[places])
            chunks.append(jax.device_get(chunk))
            progress(min(size, num - start))
        join = np.stack if size == 1 else np.concatenate
        return jax.tree.map(lambda *parts: join(parts)[:num], *chunks)


def require_finite(values: Any, what: str) -> None:
    """Refuse samples that are not finite.

    Raises:
        NotFiniteError: a value is NaN or infinite.
    """
    if not np.isfinite(values).all():
        raise NotFiniteError(f"NaN or infinity in {what} of a probe")
