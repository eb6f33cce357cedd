"""What is traced, and what is computed, when a call is made again."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import hessdiag
from hessdiag import spectra
from tests.api.compiling import compiling
from tests.oracles.spectra import dense_hessian

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
def test_a_first_call_compiles_two_programs_and_a_second_one_none(rows):
    """One prepares, one multiplies; the trace and the largest eigenvalues use the same."""
    loss = Counted()

    def measure(seed=0, batch=12, **options):
        params, data = problem(rows, seed=seed, batch=batch)
        cost = {"top": 2, "starts": 2, "matvecs": 10, "per_leaf": True}
        jax.block_until_ready((params, data))
        with compiling() as count:
            result = hessdiag.spectrum(loss, params, data, **cost, **options)
        return result.dataset, count.programs

    first, programs = measure()
    assert programs == 2
    again, programs = measure()
    assert programs == 0
    assert again.identical(first)
    other, programs = measure(seed=1)
    assert programs == 0
    assert abs(other.highest - first.highest) > first.highest_error
    assert measure(tolerance=1e-2)[1] == 0
    if rows == MANY:
        shifted, programs = measure(seed=1, chunk_size=12)
        assert programs == 2  # others, of the same operator
        np.testing.assert_allclose(shifted.highest, other.highest, rtol=1e-4)
    else:
        assert measure(batch=13)[1] == 2


def test_numbers_of_a_kept_program_are_those_of_a_new_one():
    params, data = problem(FEW, seed=1)
    hessdiag.spectrum(Counted(), *problem(FEW))
    with compiling() as count:
        again = hessdiag.spectrum(Counted(), params, data).dataset
    assert count.programs == 0  # another function, and the same program
    weights = np.asarray(params["weight"], np.float64)
    truth = np.linalg.eigvalsh(dense_hessian(lambda p: Counted()(p, data), {"weight": weights}))
    assert abs(again.highest - truth[-1]) <= again.highest_error
    assert abs(again.lowest - truth[0]) <= again.lowest_error


def test_an_operator_is_kept_whatever_the_loss():
    params, data = problem(FEW)

    def measure():
        with compiling() as count:
            found = hessdiag.spectrum(Counted(), params, data, operator=fisher, chunk_size=5)
        return found.dataset, count.programs

    first, programs = measure()
    assert programs == 2
    again, programs = measure()
    assert programs == 0
    assert again.identical(first)


def test_a_loss_that_cannot_be_hashed_is_kept_too():
    params, data = problem(FEW)
    first = hessdiag.spectrum(Unhashable(), params, data).dataset
    with compiling() as count:
        again = hessdiag.spectrum(Unhashable(), params, data).dataset
    assert count.programs == 0
    assert again.identical(first)


@pytest.mark.parametrize("rows", [FEW, MANY], ids=["dense", "lanczos"])
def test_what_a_closure_holds_is_what_it_holds_now(rows):
    """Arrays are operands, and compile nothing; numbers of Python are part of the program."""
    params, (inputs, targets) = problem(rows)
    held = {"targets": targets, "scale": 1.0, "table": np.ones((1, 10), np.float32)}

    def loss(p, batch):
        outputs = jnp.tanh(batch @ p["weight"]) * held["table"]
        return held["scale"] * jnp.mean((outputs - held["targets"]) ** 2)

    def measure():
        with compiling() as count:
            data = hessdiag.spectrum(loss, params, inputs, starts=2, matvecs=10).dataset
        fresh = jax.jit(lambda p: loss(p, inputs))(params)
        np.testing.assert_allclose(data.loss, fresh, rtol=1e-6)
        return data, count.programs

    first, programs = measure()
    assert programs == 2
    held["targets"] = 2 * targets
    second, programs = measure()
    assert programs == 0
    assert abs(second.highest - first.highest) > 10 * first.highest_error
    held["table"] *= 2  # in place
    third, programs = measure()
    assert programs == 0
    assert abs(third.highest - second.highest) > 10 * second.highest_error
    held["scale"] = 3.0
    fourth, programs = measure()
    assert programs == 2
    np.testing.assert_allclose(fourth.highest, 3 * third.highest, rtol=1e-5)
    jitted = hessdiag.spectrum(lambda p, b: loss(p, b), params, inputs, starts=2, matvecs=10)
    np.testing.assert_allclose(jitted.dataset.highest, fourth.highest, rtol=1e-6)


def test_a_rule_of_a_derivative_that_reads_a_closure_is_read_again():
    """Where the loss is the same program, and its derivative is not."""
    held = {"slope": jnp.float32(1)}

    @jax.custom_jvp
    def gated(x):
        return x**2

    gated.defjvp(lambda x, t: (x[0] ** 2, held["slope"] * 2 * x[0] * t[0]))

    def highest():
        loss = lambda p, b: jnp.sum(gated(p * b))  # noqa: E731
        return hessdiag.spectrum(loss, jnp.ones(3), jnp.arange(3.0)).dataset.highest

    np.testing.assert_allclose(highest(), 8, rtol=1e-5)
    held["slope"] = jnp.float32(5)
    np.testing.assert_allclose(highest(), 40, rtol=1e-5)


def test_a_history_along_training_compiles_nothing():
    """Parameters and batches are arguments; each value is that of a dense float64 Hessian."""
    params, (inputs, targets) = problem(FEW)
    loss = Counted()
    seen = []
    for step in range(3):
        batch = (inputs * (1 + 0.1 * step), targets)
        moved = jax.tree.map(lambda leaf, by=step: leaf + 0.01 * by, params)
        with compiling() as count:
            data = hessdiag.spectrum(loss, moved, batch).dataset
        seen.append(count.programs)
        weights = {"weight": np.asarray(moved["weight"], np.float64)}
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), batch)
        with jax.enable_x64(True):
            truth = np.linalg.eigvalsh(dense_hessian(lambda p, b=wide: loss(p, b), weights))
        assert abs(data.highest - truth[-1]) <= data.highest_error
        assert abs(data.lowest - truth[0]) <= data.lowest_error
    assert seen[1:] == [0, 0]


def test_a_loss_that_draws_when_traced_is_refused_at_every_call():
    random = np.random.default_rng(0)
    loss = Counted()

    def noisy(params, batch):
        return random.uniform(1, 2) * loss(params, batch)

    for seed in (0, 0, 1):
        with pytest.raises(ValueError, match="the loss is not deterministic"):
            hessdiag.spectrum(noisy, *problem(FEW, seed=seed))


def test_a_draw_that_a_batch_hides_is_found():
    """Where all inputs are zero so is the Hessian, whatever was drawn; the program is another."""
    random = np.random.default_rng(0)
    params, (inputs, targets) = problem(FEW)
    for draw in (lambda: random.uniform(1, 2), lambda: random.uniform(1, 2, (12, 10))):

        def noisy(p, batch, draw=draw):
            return jnp.mean(draw() * (batch @ p["weight"] - targets) ** 2)

        with pytest.raises(ValueError, match="the loss is not deterministic"):
            hessdiag.spectrum(noisy, params, 0 * inputs)


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
