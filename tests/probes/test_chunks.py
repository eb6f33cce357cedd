"""Samples that another thread draws are those that the sampler's function gives here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.errors import NotFiniteError
from hessdiag.probes.chunks import Chunks


def drawn(state, key):
    return state * jax.random.normal(key, (3,)), jnp.full((), jnp.nan)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("double", [False, True])
def test_samples_are_the_functions_in_the_callers_precision(size, double):
    with jax.enable_x64(double):
        state, keys = jnp.asarray(2.0, float), jax.random.split(jax.random.key(0), 5)
        expected = jax.device_get(jax.vmap(drawn, in_axes=(None, 0))(state, keys)[0])
        done = []
        with Chunks(drawn, size, "the numbers").meanwhile(state, keys) as wait:
            samples, _ = wait(done.append)
    assert samples.dtype == (np.float64 if double else np.float32)
    np.testing.assert_allclose(samples, expected, rtol=1e-6)
    assert done == [1] * 5 if size == 1 else [2, 2, 1]


def test_none_is_drawn_once_the_caller_has_left():
    calls = []

    def counted(state, _):
        jax.debug.callback(lambda: calls.append(None))
        return jax.lax.fori_loop(0, 100_000, lambda _, x: jnp.sin(x), state)

    keys = jax.random.split(jax.random.key(0), 200)
    with pytest.raises(KeyboardInterrupt), Chunks(counted, 1, "the numbers").meanwhile(1.0, keys):
        raise KeyboardInterrupt
    jax.effects_barrier()
    assert len(calls) < len(keys)


def test_a_first_leaf_that_is_not_finite_is_refused():
    keys = jax.random.split(jax.random.key(0), 2)
    with pytest.raises(NotFiniteError, match="NaN or infinity in the numbers of a probe"):
        Chunks(drawn, 1, "the numbers").sample(jnp.inf, keys, progress=lambda _: None)
