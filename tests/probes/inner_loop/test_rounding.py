"""What products round along inner loops is in the errors: networks that amplify it, in float32."""

import jax
import numpy as np
import optax
import pytest

from hessdiag import spectra
from hessdiag.probes.inner_loop import InnerLoop, InnerLoopSettings
from tests.oracles.families_of_networks import network_case, recurrent
from tests.oracles.steps import inner_step

SEEDS, ALPHA = range(24), 1e-2


def linearise(at):
    params, opt_state, batch = at
    return inner_step(
        lambda p: recurrent(p, *batch), optax.sgd(ALPHA), params, opt_state, learning_rate=ALPHA
    )


@pytest.mark.parametrize("limit", [500, 0], ids=["dense", "krylov"])
def test_errors_hold_what_products_round(limit, monkeypatch):
    """With 16 eps of the norm alone ends of several networks would be wrong."""
    monkeypatch.setattr(spectra, "DENSE_LIMIT", limit)
    settings = InnerLoopSettings(
        operators=("paper",), paths=True, edges=True, max_matvecs=96, tolerance=1e-6
    )
    loop, amplified = InnerLoop(linearise, settings), 0
    for seed in SEEDS:
        (params, *batch), truth = network_case("recurrent", seed)
        point = params, optax.sgd(ALPHA).init(params), tuple(batch)
        found = loop.measure(jax.tree.map(lambda leaf: leaf[None], point), jax.random.key(seed))
        hessian, distance = found.hessians[0], found.edge
        if np.isnan(hessian.ends.highest):
            continue
        assert distance is not None
        off = abs(hessian.ends.highest - truth[-1])
        amplified += off > 16 * np.finfo(np.float32).eps * np.abs(truth).max()
        assert off <= hessian.ends.highest_error
        assert abs(hessian.ends.lowest - truth[0]) <= hessian.ends.lowest_error
        assert abs(found.paths[0].value - ALPHA) <= found.paths[0].error
        assert abs(distance.sharpness - ALPHA * truth[-1]) <= distance.error
    assert amplified >= 3
