"""What a probe can measure besides, by name.

To add one, write a class by the contract in `base`, put it here, name its variables in the schema,
and say in docs/theory.md what it is.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jax.stages import Lowered
from jaxtyping import PRNGKeyArray

from hessdiag.probes.also.base import Also, Values
from hessdiag.probes.also.estimators import Estimators
from hessdiag.probes.also.loss_terms import LossTerms
from hessdiag.probes.also.singular_values import SingularValues
from hessdiag.probes.also.smoothness import Smoothness
from hessdiag.probes.also.twins import Twins
from hessdiag.probes.chunks import Progress, Tell
from hessdiag.probes.measured import Measured

ALSO: Mapping[str, Callable[[Measured], Also]] = {
    "twins": Twins,
    "singular-values": SingularValues,
    "smoothness": Smoothness,
    "estimators": Estimators,
    "loss-terms": LossTerms,
}


class AlsoMeasured:
    """Those that the settings of a probe ask for, as one."""

    def __init__(self, measured: Measured):
        self._parts = [ALSO[name](measured) for name in measured.settings.also]

    @property
    def units(self) -> int:
        """See `Also`."""
        return sum(part.units for part in self._parts)

    @property
    def coords(self) -> Mapping[str, Any]:
        """See `Also`."""
        return {name: values for part in self._parts for name, values in part.coords.items()}

    @property
    def programs(self) -> list[tuple[Any, int]]:
        """See `Also`."""
        return [program for part in self._parts for program in part.programs]

    def lowered(self, state: Any, keys: PRNGKeyArray, key: PRNGKeyArray) -> Iterator[Lowered]:
        """See `Also`."""
        for part in self._parts:
            yield from part.lowered(state, keys, key)

    def measure(
        self, state: Any, keys: PRNGKeyArray, key: PRNGKeyArray, *, progress: Progress, tell: Tell
    ) -> Values:
        """See `Also`."""
        values: dict[str, Any] = {}
        for part in self._parts:
            values |= part.measure(state, keys, key, progress=progress, tell=tell)
        return values
