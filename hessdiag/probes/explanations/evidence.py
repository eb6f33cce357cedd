"""What explanations may use of a probe, and what they give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hessdiag.statistics.bootstrap import Interval


class Radii(NamedTuple):
    """Spectral radii of one operator on U' unrolls; arrays (U', n)."""

    minus_one: np.ndarray  # NaN where the eigenvalue did not converge
    error: np.ndarray  # to first order


@dataclass(frozen=True)
class Evidence:
    """What explanations may use of U unrolls; what was not measured is None."""

    radius_minus_one: np.ndarray  # (U, n) spectral radius of I + H_j minus one
    radius_error: np.ndarray  # (U, n)
    memory: float | None  # decay β₁ of the optimiser's first moment; None where it has none
    operator_radii: Mapping[str, Radii] = field(default_factory=dict)  # by operator
    product_norms: Mapping[str, np.ndarray] = field(default_factory=dict)
    """(U', n) ‖P_1‖ … ‖P_n‖ by operator, P_i over the last i − 1 inner steps."""
    reach: np.ndarray | None = None
    """(n, n) entry (i−1, j): mean over samples of |∂g^(j)-cotangent| / |T^(i)|, the norm of
    ∂θ^(i)/∂g^(j) along T^(i); NaN at horizons not measured."""
    outer_std: np.ndarray | None = None
    """(n, m) standard deviation of T^(i)·∂θ^(1)/∂η over samples, inner trajectories and validation
    drawn anew in each, apart from the meta-gradients' samples."""

    @property
    def n(self) -> int:
        """The longest horizon."""
        return self.radius_minus_one.shape[1]


Explanation = Callable[[Evidence], Interval | None]
"""Evidence → the predicted growth s(i)/s(1) at every horizon i = 1 … n.

None where it does not apply to a run, so that all probes of a run have the same explanations; NaN
where it cannot tell at one probe.
"""


def exact(values: np.ndarray) -> Interval:
    """A prediction without an error of its own."""
    return Interval(values, values, values)
