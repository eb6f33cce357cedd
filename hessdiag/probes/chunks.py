"""Many samples from one training state, a chunk at a time, by one compiled program."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.stages import Lowered
from jaxtyping import PRNGKeyArray

from hessdiag.devices import ONE, Devices
from hessdiag.errors import NotFiniteError

Progress = Callable[[int], None]
"""Called after each chunk with the number of its samples; may raise to draw no more."""


class Chunks:
    """Draws samples in chunks.

    Attributes:
        program: a state and a chunk's keys to the chunk's samples; one key where chunks are of one.

    Args:
        sample: a state and a key to any pytree; pure and jit-able.
        size: samples computed at once: bounds memory.
        what: what they are called, whose first leaf has to be finite.
        devices: each draws `size` samples of a chunk at once.
    """

    def __init__(
        self,
        sample: Callable[[Any, PRNGKeyArray], Any],
        size: int,
        what: str,
        devices: Devices = ONE,
    ):
        on_one = sample if size == 1 else jax.vmap(sample, in_axes=(None, 0))

        def share(keys: PRNGKeyArray, state: Any) -> Any:
            if size > 1:
                return on_one(state, keys)
            return jax.tree.map(lambda leaf: leaf[None], on_one(state, keys[0]))

        def on_all(state: Any, keys: PRNGKeyArray) -> Any:
            return devices.spread(share, keys, state)

        self.program = jax.jit(on_one if devices.number == 1 else on_all)
        self._size, self._what, self._devices = size * devices.number, what, devices

    def calls(self, number: int) -> int:
        """How often the program is called for so many samples."""
        return -(-number // self._size)

    def lowered(self, state: Any, keys: PRNGKeyArray) -> Lowered:
        """What drawing with these keys will run, to be compiled."""
        return self.program.lower(self._devices.copies(state), self._chunk(keys, 0))

    def _chunk(self, keys: PRNGKeyArray, start: int) -> PRNGKeyArray:
        """The keys of the chunk that begins there; the last chunk is filled up."""
        if self._size == 1:
            return keys[start]
        return keys[np.arange(start, start + self._size) % len(keys)]

    def sample(self, state: Any, keys: PRNGKeyArray, *, progress: Progress) -> Any:
        """A sample per key from a state, stacked along axis 0 of every leaf, on the host.

        Raises:
            NotFiniteError: a sample is NaN or infinite.
        """
        with self.meanwhile(state, keys) as wait:
            return wait(progress)

    @contextmanager
    def meanwhile(self, state: Any, keys: PRNGKeyArray) -> Iterator[Callable[[Progress], Any]]:
        """Draw the same in another thread, which makes use of cores that idle here.

        Yields:
            What waits for the samples. Outside the context no more are drawn.
        """
        num, size, double = len(keys), self._size, bool(jax.config.jax_enable_x64)
        starts, state = range(0, num, size), self._devices.copies(state)

        def draw(start: int) -> Any:
            with jax.enable_x64(double):  # a setting of each thread
                return jax.device_get(self.program(state, self._chunk(keys, start)))

        def wait(progress: Progress) -> Any:
            chunks = []
            for start, future in zip(starts, drawn, strict=True):
                chunks.append(future.result())
                progress(min(size, num - start))
            join = np.stack if size == 1 else np.concatenate
            samples = jax.tree.map(lambda *leaves: join(leaves)[:num], *chunks)
            if not np.isfinite(jax.tree.leaves(samples)[0]).all():
                raise NotFiniteError(f"NaN or infinity in {self._what} of a probe")
            return samples

        pool = ThreadPoolExecutor(max_workers=1)
        try:
            drawn = [pool.submit(draw, start) for start in starts]
            yield wait
        finally:
            pool.shutdown(cancel_futures=True)
