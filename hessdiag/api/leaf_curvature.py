"""The curvature of chosen leaves, where a probe of a loop starts."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import xarray

from hessdiag.api.loop_problem import Loss, Sampler
from hessdiag.api.spectrum import spectrum
from hessdiag.api.trainable import Held, paths, selected
from hessdiag.errors import UsageError
from hessdiag.meta import streams
from hessdiag.probes.settings import ProbeSettings
from hessdiag.record.schema import SCHEMA, described
from hessdiag.spectra import NoisyOperatorError, NonSymmetricOperatorError

Where = str | list[str] | tuple[str, ...] | Callable[[str], bool]
"""Which leaves: part of the path of a leaf, several such, or a function of the path."""

_OWN = [name for name, variable in SCHEMA.items() if variable.part == "leaves"]
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
        """The variables of the part "leaves", on the first batch of the probe's first unroll.

        All is NaN where the Hessian is not symmetric to within rounding, as in the probe itself.
        """
        key = streams.first_rollout(keys.probe, step, settings.samples)
        _, batch = self._sample(params, eta, env_state, key)
        try:
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
        except (NonSymmetricOperatorError, NoisyOperatorError):
            return self._nothing(params)
        variables = {name: found[name].values for name in _OWN if name in found}
        variables |= {f"leaves_{name}": found[name].values for name in _ENDS}
        variables["leaf_matvecs"] = found.matvecs.values
        return described(variables, coords={"leaf": found.leaf.values.astype(str)})

    def _nothing(self, params: Any) -> xarray.Dataset:
        """No number of any leaf but its size."""
        floats = Held.of(params, selected(params, self._where)).floats(params)
        sizes = map(np.size, jax.tree.leaves(floats))
        leaves = {name: size for name, size in zip(paths(floats), sizes, strict=True) if size}
        variables = {
            name: np.full([len(leaves)] if SCHEMA[name].dims else [], np.nan) for name in _OWN
        }
        variables["leaf_size"], variables["leaf_matvecs"] = (
            np.array([*leaves.values()]),
            np.array(0),
        )
        variables["leaf_converged"] = np.zeros(len(leaves), bool)
        return described(variables, coords={"leaf": np.array([*leaves], str)})
