"""What the line of an iteration says."""

import jax
import jax.numpy as jnp
import numpy as np

from hessdiag.train.learner import Info
from hessdiag.train.seed_run import _iteration_record


def test_hyper_parameters_have_names_of_their_own():
    """Losses may see of η something with other entries than η has."""
    info = Info(
        learning_rate=jnp.array(0.5),
        inner_loss=jnp.array(1.0),
        outer_loss=jnp.array(jnp.nan),
        metrics={"return": jnp.array(2.0)},
        eta=jnp.array([3.0, 4.0]),
        hyper={"ratio": jnp.array(0.75)},
        meta_gradient=jnp.array([0.6, 0.8]),
        finite={},
    )
    record = _iteration_record(7, jax.device_get(info), ("up", "down"))
    assert record["hyper"] == {"ratio": 0.75}
    assert record["eta"] == {"up": 3.0, "down": 4.0}
    assert record["outer_loss"] is None
    np.testing.assert_allclose(record["meta_gradient_norm"], 1.0, rtol=1e-6)
