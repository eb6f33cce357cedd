"""Many samples from one training state, a chunk at a time, by one compiled program."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any

import jax
import numpy as np
from jax.stages import Lowered
from jaxtyping import PRNGKeyArray

from hessdiag.cores import usable_cores
from hessdiag.devices import ONE, Devices
from hessdiag.errors import NotFiniteError, ShortageError, ran_out_of_memory

Progress = Callable[[int], None]
"""Called after each chunk with the number of its samples; may raise to draw no more."""

Tell = Callable[[str], object]
"""Hears, in one line, of what was mended."""


def side_by_side() -> int:
    """How many chunks are drawn at once: small operations leave the cores of a CPU idle."""
    return 2 if jax.default_backend() == "cpu" and len(usable_cores()) > 1 else 1


def unheard(message: str) -> None:
    """Nobody hears it."""
    del message


class Chunks:
    """Draws samples in chunks, which are halved where memory runs out.

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
        self._each = size  # what a device computes at once of a chunk
        self._halving = Lock()

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

    def _drawn(self, state: Any, keys: PRNGKeyArray, start: int, tell: Tell) -> Any:
        """The samples of the chunk that begins there, on the host.

        Raises:
            ShortageError: not even one of them fits into memory.
        """
        chunk = self._chunk(keys, start)
        while True:
            each = self._each
            piece = each * self._devices.number
            try:
                if piece == self._size:
                    return jax.device_get(self.program(state, chunk))
                return self._in_pieces(state, chunk, piece)
            except (MemoryError, RuntimeError) as error:
                if not ran_out_of_memory(error):
                    raise
                self._halve(each, error, tell)

    def _halve(self, each: int, error: Exception, tell: Tell) -> None:
        """Compute fewer at once than `each`, unless another thread has seen to it already."""
        with self._halving:
            if each > self._each:
                return
            if each == 1:
                raise ShortageError(f"{self._what} ran out of memory, one at a time") from error
            self._each = -(-each // 2)
            tell(f"{self._what} ran out of memory; going on with {self._each} at a time")

    def _in_pieces(self, state: Any, chunk: PRNGKeyArray, piece: int) -> Any:
        """All pieces have one size, for one program: the last one is filled up."""
        starts = range(0, self._size, piece)
        places = (np.arange(first, first + piece) % self._size for first in starts)
        parts = [jax.device_get(self.program(state, chunk[some])) for some in places]
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: self._size], *parts)

    def sample(
        self, state: Any, keys: PRNGKeyArray, *, progress: Progress, tell: Tell = unheard
    ) -> Any:
        """A sample per key from a state, stacked along axis 0 of every leaf, on the host.

        `tell` hears of chunks that are halved.

        Raises:
            NotFiniteError: a sample is NaN or infinite.
            ShortageError: not even one sample fits into memory.
        """
        with self.meanwhile(state, keys, tell=tell) as wait:
            return wait(progress)

    @contextmanager
    def meanwhile(
        self, state: Any, keys: PRNGKeyArray, *, tell: Tell = unheard
    ) -> Iterator[Callable[[Progress], Any]]:
        """Draw the same in other threads, which make use of cores that idle here.

        Yields:
            What waits for the samples. Outside the context no more are drawn.
        """
        num, size, double = len(keys), self._size, bool(jax.config.jax_enable_x64)
        starts, state = range(0, num, size), self._devices.copies(state)

        def draw(start: int) -> Any:
            with jax.enable_x64(double):  # a setting of each thread
                return self._drawn(state, keys, start, tell)

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

        pool = ThreadPoolExecutor(max_workers=side_by_side())
        try:
            drawn = [pool.submit(draw, start) for start in starts]
            yield wait
        finally:
            pool.shutdown(cancel_futures=True)
