"""What a probe measures: a system, where its unrolls start, how far they look ahead."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag.inner import Cut
from hessdiag.meta import Start, System
from hessdiag.probes.settings import ProbeSettings


@dataclass(frozen=True)
class Measured:
    """The object of a probe; nothing in it changes along training.

    Attributes:
        system: the problem and its inner update.
        start: a training state and a sample's key → where the sample's unroll starts.
        n: the longest horizon.
        settings: what is measured, and how exactly.
        cuts: the full meta-gradient first, then the counterfactuals wanted, by name; or none.
        weights: of the estimators that are weighted sums over horizons, by name: w_1 … w_i of the
            i-step one for i = 1 … n.
        mixing: the weights of eq. 10, for what explanations predict of an average over horizons.
        headline: the one of these that training uses, or comes closest to.
        memory: decay β₁ of the optimiser's first moment; None where it has none.
    """

    system: System
    start: Callable[[Any, PRNGKeyArray], Start]
    n: int
    settings: ProbeSettings
    cuts: Mapping[str, Cut]
    weights: Mapping[str, Sequence[np.ndarray]]
    mixing: Sequence[np.ndarray]
    headline: str
    memory: float | None
