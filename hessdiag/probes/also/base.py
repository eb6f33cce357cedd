"""The contract of what a probe also measures, and those that measure a function of samples."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from jax.stages import Lowered
from jaxtyping import PRNGKeyArray

from hessdiag.probes.chunks import Chunks, Progress, Tell
from hessdiag.probes.measured import Measured

Values = dict[str, Any]
"""Variables by name; the schema says what each is."""


class Also(Protocol):
    """One measurement at a training state, which it reads and never changes."""

    @property
    def units(self) -> int:
        """Of progress in one measurement."""
        ...

    @property
    def coords(self) -> Mapping[str, Any]:
        """Of its variables, by dimension."""
        ...

    @property
    def programs(self) -> list[tuple[Any, int]]:
        """Compiled functions of a state and a chunk's keys, and how often a probe calls each.

        Those alone that may need much memory.
        """
        ...

    def lowered(self, state: Any, keys: PRNGKeyArray, key: PRNGKeyArray) -> Iterator[Lowered]:
        """What `measure` will run, to be compiled."""
        ...

    def measure(
        self, state: Any, keys: PRNGKeyArray, key: PRNGKeyArray, *, progress: Progress, tell: Tell
    ) -> Values:
        """Its variables.

        Args:
            state: the training state.
            keys: of the samples, the same as the meta-gradients'.
            key: of all other randomness.
            progress: called with the units that are done; may raise to abandon the measurement.
            tell: hears of chunks that are halved.
        """
        ...


class OfSamples:
    """Measures a function of every sample; subclasses say which, and make variables of them."""

    what = ""  # the samples are called in messages
    coords: Mapping[str, Any] = {}

    def __init__(self, measured: Measured):
        self.measured = measured
        self.units = measured.settings.samples
        self._chunks = Chunks(
            measured.precisely(self.sample), measured.settings.chunk, self.what, measured.devices
        )
        self.programs = [(self._chunks.program, self._chunks.calls(self.units))]

    def lowered(self, state: Any, keys: PRNGKeyArray, key: PRNGKeyArray) -> Iterator[Lowered]:
        """What `measure` will run, to be compiled."""
        del key
        yield self._chunks.lowered(state, keys)

    def measure(
        self, state: Any, keys: PRNGKeyArray, key: PRNGKeyArray, *, progress: Progress, tell: Tell
    ) -> Values:
        """Its variables, of all samples."""
        del key
        return self.variables(self._chunks.sample(state, keys, progress=progress, tell=tell))

    def sample(self, state: Any, key: PRNGKeyArray) -> Any:
        """Of one sample; pure and jit-able."""
        raise NotImplementedError

    def variables(self, samples: Any) -> Values:
        """Of all samples, stacked along axis 0 of every leaf."""
        raise NotImplementedError
