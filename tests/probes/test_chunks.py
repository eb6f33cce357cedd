"""Samples that another thread draws are those that the sampler's function gives here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.errors import NotFiniteError, ShortageError
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


def program_with_room_for(most: int, error: Exception):
    """Fails above so many keys at once."""

    def program(state, keys):
        if len(keys) > most:
            raise error
        return jax.vmap(drawn, in_axes=(None, 0))(state, keys)

    return program


EXHAUSTED = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes")


@pytest.mark.parametrize("most", [1, 3, 4])
@pytest.mark.parametrize("error", [EXHAUSTED, MemoryError()])
def test_chunks_are_halved_where_memory_runs_out(most, error, monkeypatch):
    keys, told, done = jax.random.split(jax.random.key(0), 11), [], []
    expected = jax.device_get(jax.vmap(drawn, in_axes=(None, 0))(2.0, keys))
    chunks = Chunks(drawn, 6, "the numbers")
    monkeypatch.setattr(chunks, "program", program_with_room_for(most, error))
    samples = chunks.sample(2.0, keys, progress=done.append, tell=told.append)
    for sample, one in zip(samples, expected, strict=True):
        np.testing.assert_allclose(sample, one, rtol=1e-6)
    assert done == [6, 5]
    sizes = {1: [3, 2, 1], 3: [3], 4: [3]}[most]
    assert told == [f"the numbers ran out of memory; going on with {n} at a time" for n in sizes]
    again = chunks.sample(2.0, keys, progress=done.append, tell=told.append)
    np.testing.assert_array_equal(again[0], samples[0])
    assert len(told) == len(sizes), "it remembers"


@pytest.mark.parametrize("size", [1, 2])
def test_where_not_even_one_fits_it_is_said(size, monkeypatch):
    def program(*_):
        raise EXHAUSTED

    chunks, keys = Chunks(drawn, size, "the numbers"), jax.random.split(jax.random.key(0), 4)
    monkeypatch.setattr(chunks, "program", program)
    with pytest.raises(ShortageError, match="the numbers ran out of memory, one at a time"):
        chunks.sample(2.0, keys, progress=lambda _: None)


def test_other_errors_of_the_device_are_not_taken_for_a_shortage(monkeypatch):
    def program(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    chunks, keys = Chunks(drawn, 2, "the numbers"), jax.random.split(jax.random.key(0), 4)
    monkeypatch.setattr(chunks, "program", program)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        chunks.sample(2.0, keys, progress=lambda _: None)
