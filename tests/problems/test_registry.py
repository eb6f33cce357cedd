import jax
import pytest

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.problems.mrp import MarkovRewardProcess


def test_a_users_factory_is_found_in_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "my_module.py").write_text(
        "from hessdiag.problems.mrp import MarkovRewardProcess\n"
        "def make_problem(**settings):\n"
        "    return MarkovRewardProcess(**settings)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = problems.make("my_module:make_problem", {"batch_size": 5})
    assert isinstance(made, MarkovRewardProcess)
    assert made.batch_size == 5


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise RuntimeError('no licence')", "could not be imported .RuntimeError: no licence"),
        ("x = 1", "could not be imported .AttributeError"),
        ("make_problem = 3", "is a int; allowed: a callable"),
        ("def make_problem(): return object()", "made a object without about, learning"),
        ("def make_problem(): raise ValueError('bad')", "could not be made .*ValueError: bad"),
    ],
)
def test_a_users_broken_module_is_one_line(tmp_path, monkeypatch, source, message):
    name = f"module_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=message) as raised:
        problems.make(f"{name}:make_problem", {})
    assert "\n" not in str(raised.value)


def test_unknown_names_and_settings_are_refused():
    with pytest.raises(UsageError, match="'chess' is unknown; allowed: snake, mrp, chain, "):
        problems.factory("chess")
    with pytest.raises(UsageError, match=r"problem\.colour: 'snake' has no such setting; allowed"):
        problems.make("snake", {"colour": 1})


@pytest.mark.parametrize("name", problems.BUILT_IN)
def test_built_in_problems_keep_the_contract(name):
    made = problems.make(name, {})
    params, env_state = made.start(None, jax.random.key(0))
    hyper = made.hyper(made.init_eta(jax.random.key(2)))
    _, trajectories = jax.jit(made.rollout)(params, hyper, env_state, jax.random.key(1))
    assert made.about.headline in made.metrics(params, trajectories)
    sizes = {"chain": 128, "snake-outer": 512}
    assert problems.settings_of(name)["batch_size"] == sizes.get(name, 32)
