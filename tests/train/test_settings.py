import math

import pytest

from hessdiag.errors import UsageError
from hessdiag.inner import Cut
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.probe import measured_by
from hessdiag.train.settings import Settings, flatten, probe_iterations
from hessdiag.train.validation import from_flat


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("n", -1, r"--n: -1 is not allowed; allowed: 0 or more"),
        ("n", 2.5, r"--n: 2\.5 is not allowed; allowed: int"),
        ("n", math.inf, r"--n: inf is not allowed; allowed: int"),
        ("n", "five", r"--n: 'five' is not allowed; allowed: int"),
        ("n", True, r"--n: True is not allowed; allowed: int"),
        ("seed", -1, r"--seed: -1 is not allowed; allowed: 0 or more"),
        ("remat", 1, r"remat: 1 is not allowed; allowed: bool"),
        ("monte_carlo", 0, r"--monte-carlo: 0 is not allowed; allowed: 1 or more"),
        ("estimator", "best", r"--estimator: 'best' is not allowed; allowed: n-step, mix"),
        ("estimator", 3, r"--estimator: 3 is not allowed; allowed: str"),
        ("env", 3, r"--env: 3 is not allowed; allowed: str"),
        ("env", "chess", r"--env: 'chess' is unknown; allowed: snake, mrp, or module:factory"),
        ("preset", "huge", r"--preset: 'huge' is unknown; allowed: smoke, laptop, paper"),
        ("preset", [], r"--preset: \[\] is not allowed; allowed: str"),
        ("kappa", 1.5, r"--kappa: 1\.5 is not allowed; allowed: 0 to 1"),
        ("kappa", -0.1, r"--kappa: -0\.1 is not allowed; allowed: 0 to 1"),
        ("kappa", math.nan, r"--kappa: nan is not allowed; allowed: float \| None"),
        ("kappa", "half", r"--kappa: 'half' is not allowed"),
        ("train.iterations", 0, r"--iterations: 0 is not allowed; allowed: 1 or more"),
        ("train.checkpoint_minutes", -1, r"train\.checkpoint_minutes: -1\.0 .* 0 or more"),
        ("probe.points", -1, r"--probes: -1 is not allowed; allowed: 0 or more"),
        ("probe.samples", 1, r"--samples \(K\): 1 is not allowed; allowed: 2 or more"),
        ("probe.chunk", 0, r"--chunk: 0 is not allowed; allowed: 1 or more"),
        ("probe.starts", 0, r"probe\.starts: 0 is not allowed; allowed: 1 or more"),
        ("probe.max_matvecs", 1, r"probe\.max_matvecs: 1 is not allowed; allowed: 2 or more"),
        ("probe.resamples", 99, r"probe\.resamples: 99 is not allowed; allowed: 100 or more"),
        ("probe.tolerance", 0.0, r"probe\.tolerance: 0\.0 is not allowed; allowed: more than 0"),
        ("probe.confidence", 1, r"probe\.confidence: 1\.0 is not allowed; allowed: between 0 and"),
        ("probe.at", [3000], r"probe\.at: \(3000,\) is not allowed; allowed: 0 to 2999"),
        ("probe.at", [-1], r"probe\.at: \(-1,\) is not allowed; allowed: 0 to 2999"),
        ("probe.at", "soon", r"probe\.at: 'soon' is not allowed; allowed: integers with commas"),
        ("probe.at", [math.inf], r"probe\.at: \[inf\] is not allowed; allowed: integers with"),
        ("learning.b1", 1.0, r"learning\.b1: 1\.0 is not allowed; allowed: 0 to below 1"),
        ("learning.eps", 0.0, r"learning\.eps: 0\.0 is not allowed; allowed: more than 0"),
        (
            "probe.operators",
            "update,newton",
            r"--operators: 'newton' is not allowed; allowed: ",
        ),
        ("probe.operators", 3, r"--operators: 3 is not allowed; allowed: tuple"),
        (
            "probe.operators",
            "semi-gradient",
            r"--operators: semi-gradient is not allowed with",
        ),
        ("probe.products", "yes", r"--products: 'yes' is not allowed; allowed: bool"),
        ("probe.operator_unrolls", 3, r"probe\.operator_unrolls: 3 is not allowed; allowed: 2 "),
        ("probe.min_matvecs", 49, r"probe\.min_matvecs: 49 is not allowed; allowed: 48 "),
        ("probe.unrolls", 65, r"probe\.unrolls: 65 is not allowed; allowed: 64 \(the samples\)"),
        ("learning.learning_rate", 0, r"--learning-rate: 0\.0 is not allowed; allowed: more than"),
        ("learning.learning_rate", 10**400, r"--learning-rate: 1000.* is not allowed; allowed: f"),
        ("learning.meta_learning_rate", -1, r"--meta-learning-rate: -1\.0 .*allowed: more than 0"),
        ("learning.clip_norm", -1, r"learning\.clip_norm: -1\.0 is not allowed; allowed: 0 or"),
        ("learning.schedule", "cosine", r"learning\.schedule: 'cosine' .* constant, linear"),
        ("probe.explanations", 3, r"probe\.explanations: 3 is not allowed; allowed: tuple"),
        ("probe.explanations", "E7", r"probe\.explanations: 'E7' is not allowed; .* module:functi"),
        ("stable_interval", [0, -2], r"stable_interval: \(0\.0, -2\.0\) .* the lower one first"),
        ("stable_interval", [1, 1], r"stable_interval: \(1\.0, 1\.0\) .* the lower one first"),
        ("stable_interval", [-2], r"stable_interval: \[-2\] is not allowed; allowed: tuple"),
        ("stable_interval", [-2, math.inf], r"stable_interval: \[-2, inf\] is not allowed"),
        ("stable_interval", "wide", r"stable_interval: 'wide' is not allowed; allowed: tuple"),
        ("stable_matvecs", 1, r"stable_matvecs: 1 is not allowed; allowed: 2 or more"),
        ("problem.batch_size", 0, r"--batch-size: 0 is not allowed; allowed: 1 or more"),
        ("problem.batch_size", "many", r"--batch-size: 'many' is not allowed; allowed: int"),
        ("problem.batch_size", 2.5, r"--batch-size: 2\.5 is not allowed; allowed: int"),
        ("problem.hidden", 0, r"problem\.hidden: 0 is not allowed; allowed: 1 or more"),
        ("problem.states", 0, r"problem\.states: 0 is not allowed; allowed: 1 or more"),
        ("problem.odd_std", "wide", r"problem\.odd_std: 'wide' is not allowed; allowed: float"),
        ("problem.colour", 1, r"problem\.colour: 'mrp' has no such setting; allowed: states"),
        ("colour", 1, r"colour: no such setting; allowed: env, n, estimator"),
        ("probe.colour", 1, r"probe\.colour: no such setting; allowed: probe\.points"),
        ("training.seed", 1, r"training\.seed: no such setting"),
        ("probe", 1, r"probe: no such setting"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(key, value, message):
    with pytest.raises(UsageError, match=f"^{message}") as raised:
        resolve({"env": "mrp", key: value})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("none", ()),
        ("update, augmented", ("update", "augmented")),
        (["semi-gradient"], ("semi-gradient",)),
    ],
)
def test_operators_are_words_with_commas_between_or_none(given, expected):
    assert resolve({"env": "snake", "probe.operators": given}).probe.operators == expected


def test_mix_needs_a_horizon():
    with pytest.raises(UsageError, match=r"--n: 0 is not allowed; allowed: 1 or more with --est"):
        resolve({"env": "mrp", "n": 0, "estimator": "mix"})


@pytest.mark.parametrize("key", ["problem.rows", "problem.cols"])
def test_board_too_small(key):
    message = r"--board-size \((rows|cols)\): 3 is too small .* allowed: 4 or more"
    with pytest.raises(UsageError, match=message):
        resolve({"env": "snake", key: 3})


@pytest.mark.parametrize("key", ["problem.maps", "problem.torso", "problem.head"])
def test_network_without_units(key):
    with pytest.raises(UsageError, match=rf"{key}: 0 is not allowed; allowed: 1 or more"):
        resolve({"env": "snake", key: 0})


def test_edges_of_what_is_allowed():
    settings = resolve(
        {
            "env": "mrp",
            "n": 0,
            "kappa": 1,
            "train.iterations": 4,
            "train.checkpoint_minutes": 0,
            "probe.at": [0, 3],
            "probe.samples": 2,
            "problem.odd_std": 0,
        }
    )
    assert (settings.n, settings.kappa, settings.probe.at) == (0, 1.0, (0, 3))
    assert isinstance(settings.problem["odd_std"], float)


def test_training_and_probes_deflate_outside_the_same_interval():
    settings = resolve(
        {
            "env": "mrp",
            "paths": "stable-hessian",
            "stable_interval": [-1, 0.5],
            "stable_matvecs": 20,
            "probe.counterfactuals": "all",
        }
    )
    learner = Learner(settings)
    probed = measured_by(learner, settings).cuts
    expected = Cut(inside=(-1.0, 0.5), matvecs=20)
    assert learner.estimator.cut == probed["stable-hessian"] == expected
    assert all(cut.inside is None for name, cut in probed.items() if name != "stable-hessian")


def test_flat_and_back():
    settings = resolve({"env": "snake", "kappa": 0.3, "probe.at": [5], "stable_interval": [-1, 1]})
    assert from_flat(flatten(settings)) == settings


@pytest.mark.parametrize(
    ("iterations", "points", "expected"),
    [
        (100, 0, ()),
        (100, 1, (50,)),
        (100, 3, (25, 50, 75)),
        (200, 6, (29, 57, 86, 114, 143, 171)),
        (1, 1, (0,)),
    ],
)
def test_probes_lie_evenly_inside_training(iterations, points, expected):
    flat = flatten(Settings()) | {"train.iterations": iterations, "probe.points": points}
    assert probe_iterations(from_flat(flat)) == expected


def test_probes_at_given_iterations():
    assert probe_iterations(from_flat(flatten(Settings()) | {"probe.at": [7, 9]})) == (7, 9)
