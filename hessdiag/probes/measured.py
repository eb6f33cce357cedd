"""What a probe measures: a system, where its unrolls start, how far they look ahead."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag.devices import ONE, Devices
from hessdiag.inner import Cut
from hessdiag.meta import Start, System
from hessdiag.probes.settings import ProbeSettings


@dataclass(frozen=True)
class Measured:
    """The object of a probe; nothing in it changes along training."""

    system: System  # the problem and its inner update
    start: Callable[[Any, PRNGKeyArray], Start]  # of a sample's unroll, by training state and key
    n: int  # the longest horizon
    settings: ProbeSettings
    cuts: Mapping[str, Cut]  # none, or the full meta-gradient first, then the counterfactuals
    weights: Mapping[str, Sequence[np.ndarray]]  # w_1 … w_i of i-step sums over horizons, i = 1 … n
    mixing: Sequence[np.ndarray]  # those of eq. 10, for predictions for an average over horizons
    headline: str  # the estimator of `weights` that training uses, or comes closest to
    memory: float | None  # decay β₁ of the optimiser's first moment; None where it has none
    devices: Devices = ONE  # that share samples and start vectors

    @property
    def precisely(self) -> Any:
        """Decorator of what is measured: matrix products are made at the system's precision."""
        return self.system.update.precisely
