"""Programs of a probe that are compiled ahead are those that it runs."""

import jax
import pytest

from hessdiag.meta.streams import run_keys
from hessdiag.train.ahead import compiled_ahead
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.probe import probe_of
from tests.train.driving import TINY

COMPILED = "/jax/core/compile/backend_compile_duration"
OPTIONS = {
    "plain": {"probe.operators": ["paper", "preconditioned", "update", "augmented"]},
    "also": {"probe.operators": [], "probe.also": ["singular-values", "twins"]},
    "cuts": {"probe.operators": [], "probe.counterfactuals": ["no-memory"], "probe.chunk": 2},
}


@pytest.fixture
def compiled():
    """Names of what has been compiled since."""
    names = []

    def heard(event: str, duration_secs: float, **about: str | int) -> None:
        del duration_secs
        if event == COMPILED:
            names.append(about.get("fun_name", ""))

    jax.monitoring.register_event_duration_secs_listener(heard)
    yield names
    jax.monitoring.unregister_event_duration_listener(heard)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_probe_compiles_none_of_them_again(options, compiled):
    settings = resolve(TINY | {"probe.products": True} | OPTIONS[options])
    learner, keys = Learner(settings), run_keys(0)
    probe, state = probe_of(learner, settings), learner.init(keys.init)
    with compiled_ahead(probe.lowered(state, keys)) as wait:
        wait()
    ahead = {name for name in compiled if "decomposed" in name or "sample" in name}
    assert ahead
    compiled.clear()
    probe(state, 1, keys=keys, progress=lambda _: None)
    assert not ahead & set(compiled)


def test_no_more_are_compiled_once_the_work_is_done():
    begun = []

    def programs():
        for number in range(1000):
            begun.append(number)
            yield jax.jit(lambda x, number=number: x + number).lower(1.0)

    with compiled_ahead(programs()):
        pass
    assert len(begun) < 1000


def test_a_program_that_fails_ends_the_waiting_and_fails_where_it_is_called():
    def fails(_):
        raise ValueError("of the program")

    program, begun = jax.jit(fails), []

    def programs():
        begun.append("first")
        yield program.lower(1.0)
        begun.append("second")

    with compiled_ahead(programs()) as wait:
        wait()
    assert begun == ["first"]
    with pytest.raises(ValueError, match="of the program"):
        program(1.0)
