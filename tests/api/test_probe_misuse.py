"""Arguments of `Probe` that cannot be meant: one line that names the argument, before any work."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import hessdiag
from hessdiag.errors import UsageError
from tests.api.test_own_loop import ETA, PARAMS, RATE, STATE, batches, inner_loss, loop

ARGUMENTS = [
    ("n", 2.5),
    ("n", "3"),
    ("n", True),
    ("n", -1),
    ("every", 1.5),
    ("every", None),
    ("learning_rate", "0.1"),
    ("learning_rate", jnp.ones(2)),
    ("momentum", 1.0),
    ("momentum", -0.1),
    ("momentum", "0.9"),
    ("momentum", float("nan")),
    ("budget", -1),
    ("budget", "many"),
    ("budget", float("nan")),
    ("inner_loss", 3),
    ("inner_loss", None),
    ("outer_loss", "loss"),
    ("batches", jnp.ones(3)),
    ("rollout", [1]),
    ("validation", jnp.ones(3)),
    ("clip", optax.clip_by_global_norm(1.0)),
    ("optimiser", 0.1),
    ("optimiser", None),
    ("optimiser", "adam"),
    ("operators", ("semi-gradient",)),
    ("operators", ("papr",)),
    ("also", ("loss-terms",)),
    ("counterfactuals", ("no-hessians",)),
    ("samples", 2.5),
    ("confidence", 1.5),
    ("resamples", 3),
    ("starts", 0),
    ("horizons", (9,)),
    ("seed", -1),
    ("seed", 2**32),
    ("at", (3,)),
    ("points", 4),
]


def line_of(call) -> str:
    """The one line of the refusal."""
    with pytest.raises(UsageError) as refused:
        call()
    text = str(refused.value)
    assert "\n" not in text
    assert "allowed" in text
    return text


@pytest.mark.parametrize(("name", "value"), ARGUMENTS)
def test_arguments(name, value):
    changes = {name: value} | ({"batches": None} if name == "rollout" else {})
    assert name in line_of(lambda: hessdiag.Probe(**loop(**changes)))


STATES = [
    ("params", ({"w": jnp.arange(3)}, STATE[1], ETA)),
    ("params", ({}, STATE[1], ETA)),
    ("eta", (PARAMS, STATE[1], {"log_weight": 1})),
    ("eta", (PARAMS, STATE[1], {"log_weight": "one"})),
    ("eta", (PARAMS, STATE[1], jnp.arange(2))),
    ("opt_state", (PARAMS, None, ETA)),
    ("opt_state", (PARAMS, PARAMS, ETA)),
    ("opt_state", (PARAMS, optax.adam(RATE).init({"w": jnp.ones(3)}), ETA)),
]


@pytest.mark.parametrize(("name", "state"), STATES)
def test_states(name, state):
    assert name in line_of(lambda: hessdiag.Probe(**loop())(*state))


FUNCTIONS = [
    ("inner_loss", lambda *_two: 0.0 if len(_two) == 2 else None),
    ("inner_loss", lambda *_: jnp.ones(2)),
    ("inner_loss", lambda *_: 3),
    ("inner_loss", lambda *given: 1j * inner_loss(*given)),
    ("inner_loss", lambda *given: jnp.sum(given[0]["v"])),
    ("outer_loss", lambda *_: (0.0, 1.0)),
    ("outer_loss", lambda *_: {}),
    ("rollout", lambda *given: batches(given[-1])),
    ("rollout", lambda: batches(jax.random.key(0))),
]


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_functions_that_do_not_fit(name, function):
    changes = {name: function} | ({"batches": None} if name == "rollout" else {})
    assert name in line_of(lambda: hessdiag.Probe(**loop(**changes))(*STATE))


@pytest.mark.parametrize("step", [-1, 1.5, True, None, np.float64(2)])
def test_steps(step):
    assert "step" in line_of(lambda: hessdiag.Probe(**loop())(*STATE, step=step))
