import math

import jax
import jax.numpy as jnp
import optax
import pytest

from hessdiag.declared import settings_of
from hessdiag.errors import UsageError
from hessdiag.inner import FULL, STABLE, Cut
from hessdiag.probes.inner_loop import OPERATORS
from hessdiag.problems.mrp import MarkovRewardProcess
from hessdiag.problems.snake import Snake
from hessdiag.train.learner import Learner
from hessdiag.train.presets import from_flat, resolve
from hessdiag.train.probe import measured_by
from hessdiag.train.settings import (
    DECLARED,
    PROBLEM_FLAGS,
    Settings,
    flatten,
    probe_iterations,
)

NUMBER, INTEGER = "a number", "an integer"
FLAGS = {
    "n": "--n",
    "seed": "--seed",
    "remat": "--remat",
    "monte_carlo": "--monte-carlo",
    "estimator": "--estimator",
    "env": "--env",
    "preset": "--preset",
    "kappa": "--kappa",
    "train.iterations": "--iterations",
    "probe.points": "--probes",
    "probe.samples": "--samples",
    "probe.chunk": "--chunk",
    "probe.operators": "--operators",
    "probe.counterfactuals": "--counterfactuals",
    "probe.products": "--products",
    "probe.nested": "--nested",
    "learning.learning_rate": "--learning-rate",
    "learning.meta_learning_rate": "--meta-learning-rate",
    "problem.batch_size": "--batch-size",
}


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("n", -1, "0 to 10000"),
        ("n", 2.5, INTEGER),
        ("n", math.inf, INTEGER),
        ("n", "five", INTEGER),
        ("n", True, INTEGER),
        ("seed", -1, "0 to 4294967295"),
        ("seed", 2**32, "0 to 4294967295"),
        ("remat", 1, "true or false"),
        ("monte_carlo", 0, "1 or more"),
        ("estimator", "best", "n-step, mix"),
        ("estimator", 3, "n-step, mix"),
        ("env", 3, "text"),
        ("preset", "huge", "smoke, laptop, paper"),
        ("preset", [], "smoke, laptop, paper"),
        ("kappa", 1.5, "0 to 1"),
        ("kappa", -0.1, "0 to 1"),
        ("kappa", math.nan, NUMBER),
        ("kappa", "half", NUMBER),
        ("train.iterations", 0, "1 or more"),
        ("train.checkpoint_minutes", -1.0, "0 or more"),
        ("probe.points", -1, "0 to 100000"),
        ("probe.samples", 1, "2 or more"),
        ("probe.chunk", 0, "1 or more"),
        ("probe.starts", 0, "1 to 1000"),
        ("probe.max_matvecs", 1, "2 or more"),
        ("probe.resamples", 99, "100 or more"),
        ("probe.tolerance", 0.0, "more than 0"),
        ("probe.confidence", 1.0, "between 0 and 1"),
        ("probe.at", (3000,), "0 to 2999"),
        ("probe.at", "soon", "integers with commas"),
        ("probe.at", [math.inf], "integers with commas"),
        ("probe.nested", 1, "0, or 2 to 64"),
        ("probe.nested", 65, "0, or 2 to 64"),
        ("probe.horizons", (6,), "1 to 5"),
        ("probe.horizons", (5,), "1, the base"),
        ("probe.operators", 3, "paper, preconditioned"),
        ("probe.products", "yes", "true or false"),
        ("probe.operator_unrolls", 3, "2 (the unrolls)"),
        ("probe.min_matvecs", 49, "48 (probe.max_matvecs)"),
        ("probe.unrolls", 65, "64 (the samples)"),
        ("probe.explanations", 3, "words with commas"),
        ("learning.learning_rate", 0.0, "more than 0"),
        ("learning.learning_rate", 10**400, NUMBER),
        ("learning.meta_learning_rate", -1.0, "more than 0"),
        ("learning.clip_norm", -1.0, "0 or more"),
        ("learning.schedule", "cosine", "constant, linear"),
        ("learning.transform", "cube", "sigmoid, identity"),
        ("learning.b1", 1.0, "0 to below 1"),
        ("learning.eps", 0.0, "more than 0"),
        ("stable_interval", (0.0, -2.0), "two numbers, the lower one first"),
        ("stable_interval", (1.0, 1.0), "two numbers, the lower one first"),
        ("stable_interval", [-2], "two numbers"),
        ("stable_interval", [-2, math.inf], "two numbers"),
        ("stable_interval", "wide", "two numbers"),
        ("stable_matvecs", 1, "2 or more"),
        ("problem.batch_size", 0, "1 or more"),
        ("problem.batch_size", "many", INTEGER),
        ("problem.batch_size", 2.5, INTEGER),
        ("problem.hidden", 0, "1 or more"),
        ("problem.states", 0, "1 to 1000"),
        ("problem.odd_std", "wide", NUMBER),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(key, value, allowed):
    """By its dotted key, with the flag of `hessdiag run` in parentheses."""
    name = f"{key} ({FLAGS[key]})" if key in FLAGS else key
    with pytest.raises(UsageError) as raised:
        resolve({"env": "mrp", key: value})
    message = str(raised.value)
    assert message.startswith(f"{name}: {value!r} is not allowed; allowed: {allowed}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("key", "value", "named", "allowed"),
    [
        ("probe.at", [-1], "-1", "0 or more"),
        ("probe.operators", "update,newton", "'newton'", "paper, preconditioned"),
        ("probe.counterfactuals", ["trace", "full"], "'full'", "no-hessian, no-memory"),
    ],
)
def test_of_a_list_what_is_not_allowed_is_named(key, value, named, allowed):
    with pytest.raises(UsageError, match=f"{named} is not allowed; allowed: {allowed}"):
        resolve({"env": "mrp", key: value})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("env", "chess", r"--env: 'chess' is unknown; allowed: snake, mrp, "),
        ("probe.operators", "semi-gradient", r"probe\.operators .* is not allowed with --env mrp"),
        ("probe.also", "loss-terms", r"probe\.also .* is not allowed with --env mrp, whose inner"),
        ("probe.explanations", "E7", r"probe\.explanations: 'E7' is not allowed; .* module:functi"),
        ("problem.colour", 1, r"problem\.colour: 'mrp' has no such setting; allowed: states"),
        ("colour", 1, r"colour: no such setting; allowed: env, n, estimator"),
        ("probe.colour", 1, r"probe\.colour: no such setting; allowed: probe\.points"),
        ("training.seed", 1, r"training\.seed: no such setting; allowed: env, n, estimator"),
        ("probe", 1, r"probe: no such setting"),
    ],
)
def test_what_is_not_known_is_named_with_what_is(key, value, message):
    with pytest.raises(UsageError, match=f"^{message}") as raised:
        resolve({"env": "mrp", key: value})
    assert "\n" not in str(raised.value)


def own_optimiser(learning_rate) -> optax.GradientTransformation:
    """An inner optimiser of one's own."""
    return optax.sgd(learning_rate, momentum=0.3)


def no_optimiser(learning_rate) -> float:
    return learning_rate


def test_an_optimiser_of_ones_own_is_named_by_module_and_function():
    own = f"{__name__}:own_optimiser"
    settings = resolve({"env": "mrp", "n": 1, "learning.optimiser": own})
    twin = {"learning.optimiser": "momentum", "learning.b1": 0.3}
    trained = []
    for made in (settings, resolve({"env": "mrp", "n": 1, **twin})):
        learner = Learner(made)
        state = learner.init(jax.random.key(0))
        for t in range(2):
            state, _ = learner.step(state, jax.random.key(t))
        trained.append(state.inner.params)
    same = jax.tree.map(lambda a, b: bool(jnp.allclose(a, b, rtol=1e-5)), *trained)
    assert jax.tree.all(same)


@pytest.mark.parametrize(
    ("optimiser", "constants", "message"),
    [
        ("lion", {}, r"'lion' is unknown; allowed: adam, sgd"),
        ("nowhere:lion", {}, r"'nowhere:lion' could not be imported"),
        (f"{__name__}:lion", {}, r"could not be imported \(AttributeError"),
        (f"{__name__}:no_optimiser", {}, r"gave a float; allowed: a function of the"),
    ],
)
def test_an_optimiser_that_cannot_be_made_is_refused(optimiser, constants, message):
    with pytest.raises(UsageError, match=rf"^learning\.optimiser.*{message}") as raised:
        resolve({"env": "mrp", "learning.optimiser": optimiser, **constants})
    assert "\n" not in str(raised.value)


def test_defaults_are_those_of_the_parts_that_use_them():
    assert Settings().stable_interval == STABLE
    assert Settings().stable_matvecs == FULL.matvecs
    assert Settings().probe.operators == OPERATORS


def test_every_setting_says_what_it_is_and_every_default_is_allowed():
    assert len(DECLARED) > 40
    for declared in DECLARED.values():
        assert declared.help
        assert declared.checked(declared.default) == declared.default


def test_flags_of_problems_are_those_that_their_fields_declare():
    fields = settings_of(Snake, "problem.") | settings_of(MarkovRewardProcess, "problem.")
    for flagged in PROBLEM_FLAGS:
        assert fields[flagged.key].flag == flagged.flag


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
    with pytest.raises(UsageError, match=r"^n \(--n\): 0 is not allowed; allowed: 1 or more with"):
        resolve({"env": "mrp", "n": 0, "estimator": "mix"})


@pytest.mark.parametrize("key", ["problem.rows", "problem.cols"])
def test_board_too_small(key):
    message = rf"{key} \(--board-size\): 3 is not allowed; allowed: 4 to 1000"
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
    assert vars(learner.estimator)["cut"] == probed["stable-hessian"] == expected
    assert all(cut.inside is None for name, cut in probed.items() if name != "stable-hessian")


def test_what_training_keeps_is_a_word_or_a_number():
    for keep in ("0", 0, "1", 1, "n"):
        assert resolve({"env": "mrp", "learning.keep": keep}).learning.keep == str(keep)
    for keep in (2, -1, 1.0, True):
        message = rf"^learning\.keep: {keep} is not allowed; allowed: 0, 1, n$"
        with pytest.raises(UsageError, match=message):
            resolve({"env": "mrp", "learning.keep": keep})


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
