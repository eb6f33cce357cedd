"""What people pass by mistake: one line that names the argument, its value and what is allowed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import hessdiag


def loss(params, batch):
    inputs, targets = batch
    return jnp.mean((jnp.tanh(inputs @ params["w"]) @ params["v"] - targets) ** 2)


PARAMS = {"w": 0.1 * jnp.arange(30.0).reshape(6, 5), "v": jnp.linspace(-1, 1, 5)}
BATCH = (jnp.sin(jnp.arange(48.0)).reshape(8, 6), jnp.ones(8))
FIRST = (BATCH[0][:3], BATCH[1][:3])


class Loader:
    """As PyTorch's: it can be looped over, and has a length."""

    def __iter__(self):
        yield BATCH

    def __len__(self):
        return 1


OPTIONS = {
    "top": [2.5, -1, True, "2", np.nan, 36],
    "starts": [0, -1, 1.5],
    "matvecs": [0, 60.0],
    "budget": [0, 2.5],
    "tolerance": [np.nan, -1, np.inf, "small", None],
    "chunk_size": [0, -3, 2.5],
    "seed": [-1, jax.random.key(0)],
    "operator": [np.eye(35), "hessian", lambda *_: jnp.eye(35)],
    "where": [3, "q", ["w", 3], lambda _: False],
    "progress": [3, "bar"],
    "which": ["LM"],
    "num_matvecs": [3],
}
CASES = [(name, value) for name, values in OPTIONS.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES, ids=range(len(CASES)))
def test_options(name, value):
    with pytest.raises((TypeError, ValueError), match=rf"^{name}\b.*allowed: ") as error:
        hessdiag.spectrum(loss, PARAMS, BATCH, **{name: value})
    assert "\n" not in str(error.value)
    if isinstance(value, str | int | float):
        assert str(value) in str(error.value)


OPTIMISER = optax.adam(1e-3)
STATES = [
    TrainState.create(apply_fn=max, params=PARAMS, tx=OPTIMISER),
    hessdiag.OptaxUpdate(loss, OPTIMISER).init(PARAMS),
    (PARAMS, OPTIMISER.init(PARAMS)),
    {"model": PARAMS, "optimiser": OPTIMISER.init(PARAMS)},
    PARAMS | {"c": jnp.ones(2, jnp.complex64)},
    jnp.ones(2, jnp.complex64),
    {"table": jnp.arange(3)},
    {},
    None,
    "weights",
    iter([PARAMS]),
]


@pytest.mark.parametrize("params", STATES, ids=range(len(STATES)))
def test_params(params):
    with pytest.raises((TypeError, ValueError), match=r"^params: .*allowed: ") as error:
        hessdiag.spectrum(loss, params, BATCH)
    assert "\n" not in str(error.value)


def test_complex_parameters_are_named():
    with pytest.raises(TypeError, match=r"params: layer\.c is complex64"):
        hessdiag.spectrum(loss, {"layer": {"c": jnp.ones(2, jnp.complex64)}}, BATCH)


BATCHES = [
    (each for each in [BATCH]),
    iter([BATCH]),
    Loader(),
    [BATCH, BATCH, BATCH],
    [BATCH, BATCH],
    (BATCH, BATCH),
    [BATCH, FIRST],
    ([*BATCH[0][:2], BATCH[0][0][:3]], BATCH[1]),
    (np.array([np.ones(3), np.ones(2)], dtype=object), BATCH[1]),
    ("inputs.npy", BATCH[1]),
    (Loader(), BATCH[1]),
    [],
    None,
]


@pytest.mark.parametrize("batch", BATCHES, ids=range(len(BATCHES)))
def test_batches(batch):
    with pytest.raises((TypeError, ValueError), match=r"^batch: .*allowed: ") as error:
        hessdiag.spectrum(loss, PARAMS, batch)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("batch", [list(BATCH), tuple(map(np.asarray, BATCH))])
def test_batches_of_other_containers_are_batches(batch):
    data = hessdiag.spectrum(loss, PARAMS, batch).dataset
    assert data.highest == hessdiag.spectrum(loss, PARAMS, BATCH).dataset.highest


LOSSES = [
    lambda p, b: (jnp.tanh(b[0] @ p["w"]) @ p["v"] - b[1]) ** 2,
    lambda p, b: (loss(p, b), 1),
    lambda p, b: {"loss": loss(p, b)},
    lambda p, b: loss(p, b) * 1j,
    lambda *_: 3,
    lambda *_: None,
    "mse",
    PARAMS,
]


@pytest.mark.parametrize("function", LOSSES, ids=range(len(LOSSES)))
def test_losses(function):
    with pytest.raises((TypeError, ValueError), match=r"^loss: .*allowed: ") as error:
        hessdiag.spectrum(function, PARAMS, BATCH)
    assert "\n" not in str(error.value)


def test_an_error_of_the_loss_itself_is_raised_as_it_is():
    def broken(params, batch):
        del batch
        return params["missing"]

    with pytest.raises(KeyError, match="missing"):
        hessdiag.spectrum(broken, PARAMS, BATCH)


class Module(nnx.Module):
    """Parameters, statistics, random state and a function."""

    def __init__(self, width):
        rngs = nnx.Rngs(0)
        self.first = nnx.Linear(6, width, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs, use_running_average=True)
        self.drop = nnx.Dropout(0.5, rngs=rngs, deterministic=True)
        self.second = nnx.Linear(width, 1, rngs=rngs)
        self.act = jnp.tanh

    def __call__(self, inputs):
        return self.second(self.drop(self.act(self.norm(self.first(inputs)))))[:, 0]


@pytest.mark.parametrize("width", [5, 80])
def test_modules_of_nnx_work_as_they_are(width):
    """As their parameters alone, by `nnx.split`; the statistics are floats, and none of these."""
    model = Module(width)
    fit = lambda m, b: jnp.mean((m(b[0]) - b[1]) ** 2)  # noqa: E731
    whole = hessdiag.spectrum(fit, model, BATCH, starts=2, top=1)
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    alone = hessdiag.spectrum(
        lambda p, b: fit(nnx.merge(graph, p, rest), b), params, BATCH, starts=2, top=1
    )
    for name in ("lowest", "highest", "trace", "mass_negative"):
        np.testing.assert_allclose(whole.dataset[name], alone.dataset[name], rtol=1e-5)
    held = set(whole.dataset.attrs["held"].split(", "))
    assert {"norm.mean.value", "norm.var.value", "drop.rngs.key.value"} <= held
    assert isinstance(whole.eigenvectors()[0], Module)
