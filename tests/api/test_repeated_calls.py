"""What is traced, and what is computed, when a call is made again."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import hessdiag
from hessdiag import spectra

FEW = 20
MANY = spectra.DENSE_LIMIT // 10 + 1  # times 10 columns: beyond what is solved densely


class Counted:
    """A loss that counts how often it is traced."""

    def __init__(self):
        self.traces = 0

    def __call__(self, params, batch):
        self.traces += 1
        inputs, targets = batch
        return jnp.mean((jnp.tanh(inputs @ params["weight"]) - targets) ** 2)

    def since(self, call):
        """What a call returns, and how often it traced."""
        before = self.traces
        return call(), self.traces - before


class Unhashable(Counted):
    __hash__ = None  # pyright: ignore[reportAssignmentType]


def problem(rows: int, *, seed: int = 0, batch: int = 12):
    """Parameters, which depend on their number alone, and a batch."""
    params = {"weight": 0.1 * jax.random.normal(jax.random.key(9), (rows, 10))}
    inputs = jax.random.normal(jax.random.key(seed), (batch, rows))
    return params, (inputs, jnp.ones((batch, 10)))


def fisher(params, batch):
    def losses(p):
        return (batch[0] @ p["weight"]).sum(axis=1) ** 2

    return spectra.empirical_fisher(losses, params)


@pytest.mark.parametrize("rows", [FEW, MANY], ids=["dense", "lanczos"])
def test_a_second_call_traces_nothing(rows):
    loss = Counted()

    def measure(seed=0, batch=12, **options):
        params, data = problem(rows, seed=seed, batch=batch)
        cost = {"top": 2, "starts": 2, "matvecs": 10}
        return hessdiag.spectrum(loss, params, data, **cost, **options).dataset

    first, traces = loss.since(measure)
    assert traces > 2
    again, traces = loss.since(measure)
    assert traces == 0
    assert again.identical(first)
    other, traces = loss.since(lambda: measure(seed=1))
    assert traces == 0
    assert abs(other.highest - first.highest) > first.highest_error
    _, traces = loss.since(lambda: measure(tolerance=1e-2))
    assert traces == 0
    if rows == MANY:
        shifted, traces = loss.since(lambda: measure(seed=1, chunk_size=12))
        assert traces > 0  # another program of the same operator
        np.testing.assert_allclose(shifted.highest, other.highest, rtol=1e-4)
    else:
        _, traces = loss.since(lambda: measure(batch=13))
        assert traces > 2


def test_numbers_of_a_kept_program_are_those_of_a_new_one():
    kept = Counted()
    params, data = problem(FEW, seed=1)
    hessdiag.spectrum(kept, *problem(FEW))
    again, traces = kept.since(lambda: hessdiag.spectrum(kept, params, data).dataset)
    assert traces == 0
    assert again.identical(hessdiag.spectrum(Counted(), params, data).dataset)


def test_an_operator_is_kept_whatever_the_loss():
    params, data = problem(FEW)
    traces = 0

    def operator(params, batch):
        nonlocal traces
        traces += 1
        return fisher(params, batch)

    def measure():
        return hessdiag.spectrum(Counted(), params, data, operator=operator, chunk_size=5).dataset

    first, before = measure(), traces
    assert before > 0
    assert measure().identical(first)
    assert traces == before


def test_a_loss_that_cannot_be_hashed_is_measured_anew():
    loss = Unhashable()
    params, data = problem(FEW)
    first, traces = loss.since(lambda: hessdiag.spectrum(loss, params, data).dataset)
    again, later = loss.since(lambda: hessdiag.spectrum(loss, params, data).dataset)
    assert traces == later > 0
    assert again.identical(first)


def test_a_loss_that_draws_when_traced_is_refused_at_every_call():
    random = np.random.default_rng(0)
    loss = Counted()

    def noisy(params, batch):
        return random.uniform(1, 2) * loss(params, batch)

    for seed in (0, 0, 1):
        with pytest.raises(ValueError, match="the loss is not deterministic"):
            hessdiag.spectrum(noisy, *problem(FEW, seed=seed))


def test_a_draw_that_one_batch_hides_is_found_with_the_next():
    """Where all inputs are zero so is the Hessian, whatever was drawn."""
    random = np.random.default_rng(0)
    loss = Counted()

    def noisy(params, batch):
        return random.uniform(1, 2) * loss(params, batch)

    params, (inputs, targets) = problem(FEW)
    hidden = hessdiag.spectrum(noisy, params, (0 * inputs, targets)).dataset
    assert hidden.highest == 0
    with pytest.raises(ValueError, match="the loss is not deterministic"):
        hessdiag.spectrum(noisy, params, (inputs, targets))


def test_an_asymmetry_that_one_batch_hides_is_found_with_the_next():
    def skew(params, batch):
        return spectra.symmetric(
            lambda v: {"weight": v["weight"] + batch * jnp.roll(v["weight"], 1)}, params
        )

    params, _ = problem(FEW)
    hessdiag.spectrum(Counted(), params, jnp.zeros(()), operator=skew)
    with pytest.raises(spectra.NonSymmetricOperatorError, match=r"symmetry defect .* exceeds"):
        hessdiag.spectrum(Counted(), params, jnp.ones(()), operator=skew)


def test_a_second_inner_loop_traces_nothing():
    loss = Counted()
    optimiser = optax.adam(1e-2)

    def measure(seed=0, steps=2):
        params, (inputs, targets) = problem(3, seed=seed, batch=12)
        batches = (inputs.reshape(steps, -1, 3), targets.reshape(steps, -1, 10))
        update = hessdiag.OptaxUpdate(loss, optimiser, learning_rate=1e-2)  # equal, not the same
        return hessdiag.inner_loop_spectra(
            update, update.init(params), batches, operators=("update",), max_matvecs=10
        ).dataset

    first, traces = loss.since(measure)
    assert traces > 2
    again, traces = loss.since(measure)
    assert traces == 0
    assert again.identical(first)
    other, traces = loss.since(lambda: measure(seed=1))
    assert traces == 0
    assert not np.array_equal(other.hessian_max, first.hessian_max)
    _, traces = loss.since(lambda: measure(steps=3))
    assert traces > 2


def test_an_inner_loop_that_draws_when_traced_is_refused_at_every_call():
    random = np.random.default_rng(0)
    loss = Counted()
    update = hessdiag.OptaxUpdate(
        lambda params, batch: random.uniform(1, 2) * loss(params, batch), optax.sgd(0.1)
    )
    params, data = problem(FEW)
    for _ in range(2):
        with pytest.raises(ValueError, match="the update is not deterministic"):
            hessdiag.inner_loop_spectra(update, update.init(params), [data])
