"""The curvature of chosen leaves, where a probe of a loop starts."""

from collections.abc import Callable
from typing import Any

import xarray

from hessdiag.api.loop_problem import Loss, Sampler
from hessdiag.api.spectrum import spectrum
from hessdiag.api.trainable import selected
from hessdiag.errors import UsageError
from hessdiag.meta import streams
from hessdiag.probes.settings import ProbeSettings
from hessdiag.record.schema import SCHEMA, described

Where = str | list[str] | tuple[str, ...] | Callable[[str], bool]
"""Which leaves: part of the path of a leaf, several such, or a function of the path."""

_ENDS = ("lowest", "lowest_error", "highest", "highest_error")


class LeafCurvature:
    """Spectra of diagonal blocks of the inner loss's Hessian: of each leaf, and of all together.

    Args:
        loss: (params, eta, batch) → scalar.
        sample: (params, eta, env_state, key) → (env_state, batch).
        where: which leaves, the others held constant; None: nothing is measured.
    """

    def __init__(self, loss: Loss, sample: Sampler, where: Where | None):
        self._loss = lambda params, data: loss(params, *data)
        self._sample, self._where = sample, where
        self.are_wanted = where is not None

    def require_there(self, params: Any) -> None:
        """Refuse, by a UsageError, parameters without a leaf that is wanted."""
        try:
            selected(params, self._where)
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from error

    def measure(
        self,
        params: Any,
        eta: Any,
        env_state: Any,
        keys: streams.RunKeys,
        step: int,
        settings: ProbeSettings,
    ) -> xarray.Dataset:
        """The variables of the part "leaves", on the first batch of the probe's first unroll."""
        key = streams.first_rollout(keys.probe, step, settings.samples)
        _, batch = self._sample(params, eta, env_state, key)
        found = spectrum(
            self._loss,
            params,
            (eta, batch),
            where=self._where,
            per_leaf=True,
            starts=settings.starts,
            matvecs=settings.max_matvecs,
            tolerance=settings.tolerance,
            seed=keys.seed,
            progress=False,
        ).dataset
        own = [name for name, variable in SCHEMA.items() if variable.part == "leaves"]
        variables = {name: found[name].values for name in own if name in found}
        variables |= {f"leaves_{name}": found[name].values for name in _ENDS}
        variables["leaf_matvecs"] = found.matvecs.values
        return described(variables, coords={"leaf": found.leaf.values.astype(str)})
