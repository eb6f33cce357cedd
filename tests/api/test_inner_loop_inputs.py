"""What people bring to `inner_loop_spectra`: right, held and said, or refused in one line."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import hessdiag
from hessdiag.api.loop_arguments import acceptance, stacked_batches

KEYS = jax.random.split(jax.random.key(0), 4)
X = jax.random.normal(KEYS[0], (2, 32, 6))
Y = jnp.sin(X).sum(-1)
PARAMS = {
    "w": 0.4 * jax.random.normal(KEYS[1], (6, 5)),
    "v": 0.4 * jax.random.normal(KEYS[2], (5,)),
}
QUICK = {"operators": ("update",), "products": False, "max_matvecs": 6}


def loss(params, batch):
    return jnp.mean((jnp.tanh(batch[0] @ params["w"]) @ params["v"] - batch[1]) ** 2)


UPDATE = hessdiag.OptaxUpdate(loss, optax.sgd(0.1))
STATE = UPDATE.init(PARAMS)
BATCHES = [(X[0], Y[0]), (X[1], Y[1])]


def measure(update=UPDATE, state=STATE, batches=(X, Y), **options):
    return hessdiag.inner_loop_spectra(update, state, batches, **QUICK | options)


def stacked(batches):
    accepts = acceptance(loss)
    return stacked_batches(batches, lambda batch: accepts(PARAMS, batch))


class Loader:
    """Such as a DataLoader: no sequence, arrays of NumPy, a new iterator each time."""

    def __iter__(self):
        return iter([(np.asarray(x), np.asarray(y)) for x, y in BATCHES])


@pytest.mark.parametrize(
    "given", [(X, Y), BATCHES, tuple(BATCHES), Loader(), iter(BATCHES), (np.asarray(X), Y)]
)
def test_batches_as_people_have_them(given):
    """A DataLoader, an iterator, a tuple, a list, or the leaves stacked."""
    found = stacked(given)
    jax.tree.map(np.testing.assert_array_equal, found, (X, Y))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "an empty list"),
        ([BATCHES[0], (X[1][:8], Y[1][:8])], r"number 1 has leaves of shapes \(8, 6\), \(8,\)"),
        ([BATCHES[0], {"x": X[1]}], "number 1 is .*, the first one "),
        ((X[0], Y[0]), r"leaves of shapes \(32, 6\), \(32,\) are 32 inner steps"),
        ((X, Y[:1]), r"leaves of shapes \(2, 32, 6\), \(1, 32\)"),
        ((X[:0], Y[:0]), "none, of shapes"),
        ({"x": X}, r"the loss does not take the first one, leaves of shapes \(32, 6\) \(KeyError"),
        (3.5, "a float"),
        ("data", "'data'"),
        ([("x", "y")], "a str among the leaves"),
    ],
)
def test_what_are_no_batches_is_refused_in_one_line(given, said):
    with pytest.raises((TypeError, ValueError), match=rf"^batches: {said}.*; allowed: ") as raised:
        stacked(given)
    assert "\n" not in str(raised.value)


def test_one_batch_in_a_list_is_one_step_and_long_loops_of_examples_are_asked_about():
    assert stacked([(X[0], Y[0])])[0].shape == (1, 32, 6)
    accepts = acceptance(lambda p, b: jnp.mean((b @ p) ** 2))
    for steps, is_asked in ((60, True), (3, False)):
        given = jnp.ones((steps, 4))
        if is_asked:
            with pytest.raises(ValueError, match="60 inner steps of one example"):
                stacked_batches(given, lambda batch: accepts(jnp.ones(4), batch))
        else:
            assert stacked_batches(given, lambda batch: accepts(jnp.ones(4), batch)) is given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"state": PARAMS}, "state: a dict"),
        ({"state": (PARAMS, optax.adam(0.1).init(PARAMS))}, "state: its optimiser state is"),
        ({"state": ({"n": 3}, ())}, "state: none of its parameters is a floating array"),
        ({"update": loss}, "update: a function"),
        ({"operators": ("newton",)}, "operators: newton unknown"),
        ({"operators": ("update", "semi-gradient")}, "operators: semi-gradient unknown"),
        ({"operators": 3}, "operators=3"),
        ({"starts": 0}, "starts=0"),
        ({"starts": 2.5}, r"starts=2\.5"),
        ({"max_matvecs": 0}, "max_matvecs=0"),
        ({"tolerance": float("nan")}, "tolerance=nan"),
        ({"tolerance": -1e-3}, r"tolerance=-0\.001"),
        ({"chunk_size": 0}, "chunk_size=0"),
        ({"seed": "a"}, "seed='a'"),
        ({"progress": "yes"}, "progress='yes'"),
        ({"steps": 3}, "steps=3"),
        ({"update": hessdiag.OptaxUpdate(lambda p, _: p["v"], optax.sgd(0.1))}, "loss: it gives"),
    ],
)
def test_misuse_is_refused_in_one_line(given, said):
    with pytest.raises((TypeError, ValueError), match=rf"^{said}.*allowed: ") as raised:
        measure(**given)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("loss", (None, optax.sgd(0.1))),
        ("optimiser", (loss, 0.1)),
        ("optimiser", (loss, optax.adam)),
        ("learning_rate", (loss, optax.sgd(0.1), "fast")),
        ("clip", (loss, optax.sgd(0.1), 0.1, optax.clip_by_global_norm(1.0))),
    ],
)
def test_an_update_of_something_else_is_refused(argument, given):
    with pytest.raises(TypeError, match=rf"^{argument}: .*; allowed: "):
        hessdiag.OptaxUpdate(*given)


def test_leaves_that_are_no_parameters_are_held_and_named():
    """Keys, integers, functions, texts: the spectra are those without them."""
    extra = {"index": jnp.arange(100), "key": jax.random.key(1), "act": jnp.tanh, "name": "net"}

    def whole(params, batch):
        return loss({name: params[name] for name in ("w", "v")}, batch) * params["index"][1]

    update = hessdiag.OptaxUpdate(whole, optax.adam(0.1))
    state = update.init(PARAMS | extra)
    found = measure(update, state)
    assert found.dataset.attrs["held"] == "act, index, key, name"
    assert found.dataset.sizes["inner_step"] == 2
    flat, unravel = ravel_pytree(PARAMS)
    hessian = jax.jit(jax.hessian(lambda p: loss(unravel(p), BATCHES[0])))(flat)
    ends = np.linalg.eigvalsh(np.asarray(hessian, np.float64))[[0, -1]]
    for name, end in zip(("hessian_min", "hessian_max"), ends, strict=True):
        assert found.dataset[name][0, 0] == pytest.approx(end, rel=1e-4)
    after = update(update.init(PARAMS | {"index": jnp.arange(100)}), BATCHES[0])
    expected = hessdiag.OptaxUpdate(loss, optax.adam(0.1))
    expected = expected(expected.init(PARAMS), BATCHES[0]).params
    np.testing.assert_array_equal(after.params["index"], jnp.arange(100))
    for name in PARAMS:
        np.testing.assert_array_equal(after.params[name], expected[name])


def test_gradient_accumulation_whose_response_is_pure_cancellation():
    """Before the mean is applied nothing moves; after it |P| - 1 = 8.2e-9 (float64, dense)."""
    update = hessdiag.OptaxUpdate(loss, optax.MultiSteps(optax.adam(1e-2), 2))
    found = hessdiag.inner_loop_spectra(
        update, update.init(PARAMS), (X, Y), operators=("update",)
    ).dataset.isel(operator_unroll=0, operator=0)
    norm, error = (float(found[f"product_norm_{part}"][1]) for part in ("minus_one", "error"))
    assert abs(norm - 8.2e-9) <= error < 1e-6
    assert found["operator_radius_minus_one"][0] == 0
    assert np.isfinite(found["operator_radius_minus_one"]).all()


def test_a_hessian_that_is_not_symmetric_is_named_and_takes_nothing_with_it():
    @jax.custom_jvp
    def wrong(p):
        return jnp.sum(p**2)

    wrong.defjvp(lambda p, t: (jnp.sum(p[0] ** 2), jnp.roll(p[0], 1) @ t[0] * 2))

    def of_batch(params, batch):  # right at the first step, wrong at the second
        return jax.lax.cond(batch > 0, wrong, lambda p: jnp.sum(p**2), params)

    update = hessdiag.OptaxUpdate(of_batch, optax.sgd(0.1))
    state = update.init(jnp.array([1.0, 2.0, 4.0]))
    found = measure(update, state, [jnp.float32(0), jnp.float32(1)])
    np.testing.assert_allclose(found.dataset["hessian_max"][0], [2, np.nan], rtol=1e-5)
    np.testing.assert_allclose(found.dataset["operator_radius_minus_one"][0, 0], -0.2, rtol=1e-4)
    assert any(note.startswith("Hessian: not symmetric at inner step 1") for note in found.notes())


def test_a_loss_that_is_no_number_is_told_first():
    update = hessdiag.OptaxUpdate(lambda p, b: jnp.mean(jnp.log(p * b)), optax.sgd(0.1))
    found = measure(update, update.init(jnp.array([-0.5, 0.7])), jnp.ones((2, 2)))
    assert np.isnan(found.dataset["loss"]).all()
    assert found.notes()[0].startswith("The loss is nan at inner steps 0, 1")


def test_complex_numbers_inside_the_loss():
    """The mean power of a Fourier transform: its Hessian is known in closed form."""
    scale = jnp.linspace(1, 2, 16)

    def power(p, b):
        return 0.5 * jnp.mean(jnp.abs(jnp.fft.rfft(p * b)) ** 2)

    update = hessdiag.OptaxUpdate(power, optax.sgd(0.1))
    found = measure(update, update.init(jnp.arange(16.0)), jnp.stack([scale] * 2)).dataset
    transform = np.fft.rfft(np.diag(np.asarray(scale, np.float64)))
    truth = np.linalg.eigvalsh((transform.conj() @ transform.T).real / 9)[-1]
    error = found["hessian_max_error"][0].values
    assert (np.abs(found["hessian_max"][0].values - truth) <= error).all()


def test_progress_counts_to_its_total_and_what_it_raises_ends_the_call_at_once():
    told = []
    measure(progress=lambda done, total: told.append((done, total)))
    total = told[-1][1]
    assert [done for done, _ in told][:total] == list(range(1, total + 1))

    def interrupt(done, total):
        told.append((done, total))
        raise KeyboardInterrupt

    told.clear()
    with pytest.raises(KeyboardInterrupt):
        measure(progress=interrupt)
    assert told == [(1, total)]
