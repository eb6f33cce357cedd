"""Matrix products of training and of probes are made at the precision that is set."""

import re

import jax
import jax.numpy as jnp
import pytest

from hessdiag.inner import linearised_step
from hessdiag.inner.precision import PRECISIONS, coarseness
from hessdiag.meta.streams import run_keys
from hessdiag.probes.inner_loop.hessians import Hessians
from hessdiag.probes.inner_loop.rounding import _moved
from hessdiag.probes.inner_loop.settings import InnerLoopSettings
from hessdiag.probes.mechanism import meta_gradients_of
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.probe import measured_by
from tests.train.driving import SNAKE, TINY

NAMES = {"float32": "HIGHEST", "tensorfloat32": "HIGH", "bfloat16": "DEFAULT"}
KEYS = run_keys(0)


def precisions(function, *operands) -> set[str]:
    """Of all matrix products and convolutions in a program."""
    program = str(jax.make_jaxpr(function)(*operands))
    found = re.findall(r" precision=\(?(?:Precision\.)?(\w+)", program)
    assert len(found) >= program.count("= dot_general[") + program.count("= conv_general_dilated[")
    return set(found)


def learner_of(precision: str, settings=TINY) -> Learner:
    return Learner(resolve({**settings, "precision": precision}))


def test_every_precision_is_jaxs():
    assert NAMES.keys() == PRECISIONS.keys()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_of_training_and_of_sampling(precision):
    learner = learner_of(precision)
    state = learner.init(KEYS.init)
    assert precisions(learner.step, state, KEYS.train) == {NAMES[precision]}
    chunks = meta_gradients_of(measured_by(learner, resolve({**TINY, "precision": precision})))
    drawn = jax.random.split(KEYS.probe, 2)
    assert precisions(chunks.program, state, drawn) == {NAMES[precision]}


@pytest.mark.slow
def test_of_convolutions():
    learner = learner_of("tensorfloat32", SNAKE | {"problem.conv_form": "xla"})
    assert precisions(learner.step, learner.init(KEYS.init), KEYS.train) == {"HIGH"}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_of_products_but_not_of_what_spectra_are_computed_with(precision):
    learner = learner_of(precision)
    state, system = learner.init(KEYS.init), learner.system

    def steps(state):
        _, seen = system.rollout(state.inner.params, state.eta, state.env_state, KEYS.train)
        step = linearised_step(system.update, state.inner, seen, state.eta)
        return jax.tree.map(lambda leaf: leaf[None], step)

    with system.update.precisely:
        found = precisions(steps, state)
        assert found == {NAMES[precision]}
    step = jax.tree.map(lambda leaf: leaf[0], jax.jit(steps)(state))
    products = precisions(lambda v: step.hessian.product(v), step.gradient)
    assert products == {NAMES[precision]}
    decomposed = Hessians(InnerLoopSettings(max_matvecs=4))._decomposed
    ran = precisions(decomposed, jax.jit(steps)(state), jnp.asarray(0), KEYS.lanczos)
    assert ran == {NAMES[precision], "HIGHEST"}


def test_numbers_on_a_cpu_are_those_of_any_precision():
    steps = [learner_of(precision) for precision in PRECISIONS]
    found = [step.step(step.init(KEYS.init), KEYS.train)[1] for step in steps]
    for info in found[1:]:
        assert all(map(jnp.array_equal, jax.tree.leaves(info), jax.tree.leaves(found[0])))


def test_the_noise_of_coarse_products_is_measured_by_coarse_moves(monkeypatch):
    assert coarseness("tensorfloat32") == 0
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    coarse = coarseness("tensorfloat32")
    assert (coarse, coarseness("float32"), coarseness("highest")) == (2.0**-10, 0, 0)
    point = ({"w": jnp.ones(50), "count": jnp.arange(3)}, jnp.ones(2))
    moved, seen = _moved(point, KEYS.probe, coarse=coarse)
    assert set((moved["w"] - 1).tolist()) == {coarse, -coarse}
    assert jnp.array_equal(moved["count"], jnp.arange(3))
    assert jnp.array_equal(seen, jnp.ones(2))
    fine = _moved(point, KEYS.probe, coarse=0.0)[0]["w"] - 1
    assert float(jnp.max(jnp.abs(fine))) <= 2.0**-23
