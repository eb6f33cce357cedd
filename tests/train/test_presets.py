from dataclasses import replace

import pytest

from hessdiag.errors import UsageError
from hessdiag.problems.mrp import MarkovRewardProcess
from hessdiag.train.presets import PRESETS, read_toml, resolve


def _toml(tmp_path, text: str):
    path = tmp_path / "my.toml"
    path.write_text(text)
    return path


def test_flag_over_toml_over_the_problems_preset_over_the_general_one(tmp_path):
    of_mrp = MarkovRewardProcess.about.presets["smoke"]
    assert PRESETS["smoke"]["train.iterations"] != of_mrp["train.iterations"]
    config = _toml(tmp_path, "[train]\niterations = 7\n[probe]\nsamples = 11")

    assert resolve({"preset": "smoke"}).train.iterations == PRESETS["smoke"]["train.iterations"]
    flags = {"env": "mrp", "preset": "smoke"}
    assert resolve(flags).train.iterations == of_mrp["train.iterations"]
    assert resolve(flags, config).train.iterations == 7
    both = resolve(flags | {"train.iterations": 5}, config)
    assert (both.train.iterations, both.probe.samples) == (5, 11)


def test_toml_chooses_problem_and_preset_unless_a_flag_does(tmp_path):
    config = _toml(tmp_path, 'env = "mrp"\npreset = "smoke"\nn = 3\nkappa = 0.25')
    settings = resolve({}, config)
    assert (settings.env, settings.preset, settings.n, settings.kappa) == ("mrp", "smoke", 3, 0.25)
    assert settings.train.iterations == 100
    assert resolve({"preset": "laptop"}, config).train.iterations == 3000


def test_learning_of_the_problem_is_the_default_and_can_be_set():
    assert resolve({"env": "mrp"}).learning == MarkovRewardProcess.learning
    changed = resolve({"env": "mrp", "learning.optimiser": "sgd"}).learning
    assert changed == replace(MarkovRewardProcess.learning, optimiser="sgd")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("env", ["snake", "mrp"])
def test_every_preset_is_allowed(env, preset):
    assert resolve({"env": env, "preset": preset}).preset == preset


def test_the_papers_preset_is_its_table_2():
    settings = resolve({"preset": "paper"})
    assert (settings.probe.points, settings.probe.samples) == (300, 96)
    assert settings.problem["rows"] == settings.problem["cols"] == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n = ", r"--config: .*my\.toml cannot be read as TOML \(Invalid value"),
        ("n = 1\nn = 2", r"--config: .*my\.toml cannot be read as TOML \(Cannot overwrite"),
        ("[probe]\ncolour = 1", r"probe\.colour: no such setting; allowed: probe\.points"),
        ("[training]\nseed = 1", r"training\.seed: no such setting"),
        ("probe = 3", r"probe: no such setting"),
        (
            "[probe.samples]\nx = 1",
            r"probe\.samples .*: \{'x': 1\} is not allowed; allowed: an integer",
        ),
        ("n = 'five'", r"n \(--n\): 'five' is not allowed; allowed: an integer"),
        ("env = 3", r"env \(--env\): 3 is not allowed; allowed: text"),
        ("[problem]\nrows = 1979-01-01", r"problem\.rows .* is not allowed; allowed: an integer"),
    ],
)
def test_bad_toml_is_one_line(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as raised:
        resolve({}, _toml(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"--config: .*none\.toml cannot be read .*No such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(UsageError, match=r"--config: .* cannot be read .*Is a directory"):
        read_toml(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"--config: .*bytes\.toml cannot be read .*decode"):
        read_toml(tmp_path / "bytes.toml")
