"""What docs/extending.md shows works as it stands there."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag.meta import ESTIMATORS, Options
from tests.meta.conftest import make_case
from tests.oracles.meta_gradient import central_differences

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture(autouse=True)
def examples_importable(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))


def test_every_example_on_the_page_is_there():
    shown = re.findall(r"examples/(\w+\.py)", PAGE)
    assert len(set(shown)) == 5
    for name in shown:
        assert (EXAMPLES / name).is_file()


def test_a_game_is_a_problem_in_one_file():
    """Its exact meta-gradient by enumeration of both players' actions, against the mean of many."""
    import stag_hunt  # pyright: ignore[reportMissingImports]

    from hessdiag.inner import inner_optimiser
    from hessdiag.meta import System, again, streams

    rate, count = 0.5, 3000
    with jax.enable_x64(True):
        problem = stag_hunt.StagHunt(batch_size=256)
        system = System.of(problem, inner_optimiser("sgd", rate), lambda _: rate)
        eta = jnp.array([0.3])
        player = jnp.array(-0.2)
        n_step = ESTIMATORS["n-step"](Options(n=1, keep=0))

        def single(key):
            start = again(system, eta, streams.start(key))
            start = start._replace(inner=start.inner._replace(params={"logit": player}))
            return n_step(system, start, key, ()).meta_gradient

        samples = np.asarray(jax.jit(jax.vmap(single))(jax.random.split(jax.random.key(0), count)))

        def expected(opponent):
            """Their loss after one exact update of ours."""

            def payoff(table, ours, theirs):
                p, q = jax.nn.sigmoid(ours), jax.nn.sigmoid(theirs)
                return jnp.array([1 - p, p]) @ table @ jnp.array([1 - q, q])

            slope = jax.grad(lambda x: -payoff(stag_hunt.PAYOFFS, x, opponent[0]))(player)
            return -payoff(stag_hunt.PAYOFFS.T, player - rate * slope, opponent[0])

        truth = central_differences(expected, np.asarray(eta))
    mean, error = samples.mean(axis=0), samples.std(axis=0, ddof=1) / np.sqrt(count)
    assert np.all(np.abs(mean - truth) < 5 * error + 0.03 * np.abs(truth))  # compositional bias
    assert np.all(np.abs(truth) > 10 * error)


def test_an_estimator_is_a_file_and_an_entry(monkeypatch):
    """The average of all horizons, in probes as in training."""
    from average import average  # pyright: ignore[reportMissingImports]

    from hessdiag.probes.variables import prediction_variables
    from hessdiag.statistics import mix_weights
    from hessdiag.train.learner import Learner
    from hessdiag.train.presets import resolve
    from hessdiag.train.probe import horizon_weights, measured_by
    from tests.probes.test_spread import loop_of

    monkeypatch.setitem(ESTIMATORS, "average", average)  # type: ignore[arg-type]
    assert list(horizon_weights(3, None)) == ["n-step", "mix", "average"]
    np.testing.assert_allclose(horizon_weights(3, None)["average"][2], 1 / 3)
    settings = resolve({"env": "mrp", "n": 2, "estimator": "average", "kappa": 0.25})
    learner = Learner(settings)
    assert learner.estimator.weights == (0.5, 0.5)  # type: ignore[attr-defined]
    measured = measured_by(learner, settings)
    assert measured.headline == "average"
    loop = loop_of([0.0, 1.0])  # predictions for the mix stay those of the mix
    labels, predicted = prediction_variables(measured, [loop], {})
    steps = predicted["prediction"][labels.index("E3 accumulation, coherent")]
    coherent = predicted["mix_prediction_coherent"][labels.index("E3 accumulation, coherent")]
    np.testing.assert_allclose(coherent[1], mix_weights(2, 0.25) @ steps)
    with jax.enable_x64(True):
        case = make_case("mrp", "sgd", clip=0.0, n=2)
        singles = [
            np.asarray(
                ESTIMATORS[name](options)(case.system, case.start, case.key, ()).meta_gradient
            )
            for name, options in (
                ("n-step", Options(n=1)),
                ("n-step", Options(n=2)),
                ("average", Options(n=2)),
            )
        ]
    np.testing.assert_allclose(singles[2], (singles[0] + singles[1]) / 2, rtol=1e-9)


def test_an_operator_is_a_property_and_a_name(monkeypatch):
    """Its radius along an inner loop, against the dense matrix of clipped gradient descent."""
    from clipped_operator import clipped  # pyright: ignore[reportMissingImports]

    from hessdiag.inner import InnerStep
    from hessdiag.probes.inner_loop import InnerLoop, InnerLoopSettings, loop
    from tests.oracles.steps import inner_step

    monkeypatch.setattr(InnerStep, "clipped", property(clipped), raising=False)
    monkeypatch.setattr(loop, "ALL_OPERATORS", (*loop.ALL_OPERATORS, "clipped"))
    curvatures, rate = jnp.array([3.0, 1.0, -2.0]), 0.1
    descent = optax.sgd(rate)

    def linearise(at):
        (point,) = at
        return inner_step(
            lambda p: curvatures @ p**2 / 2,
            descent,
            point,
            descent.init(point),
            clip=lambda g: g / 4,
            learning_rate=rate,
        )

    settings = InnerLoopSettings(operators=("clipped",), products=False)
    measured = InnerLoop(linearise, settings).measure((jnp.ones((2, 3)),), jax.random.key(0))
    radii = [spectrum.radius.minus_one for spectrum in measured.operators["clipped"]]
    np.testing.assert_allclose(radii, 2.0 * rate / 4, rtol=1e-5)


def test_a_figure_is_a_file_and_an_entry(monkeypatch):
    """On a committed study, drawn, with the numbers of its table."""
    from final_metric import final_metric  # pyright: ignore[reportMissingImports]

    from hessdiag.analysis import findings
    from hessdiag.report.figures import registry

    monkeypatch.setattr(registry, "FIGURES", (final_metric, *registry.FIGURES))
    first = registry.specs(findings(ROOT / "reports" / "mechanism"))[0]
    assert first.slug == "final-metric"
    (axis,) = first.draw().axes
    heights = [bar.get_height() for bar in axis.containers[0]]
    np.testing.assert_allclose(heights, [row["final"] for row in first.rows])
    assert len(heights) == 4
