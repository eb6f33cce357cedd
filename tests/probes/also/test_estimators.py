"""The estimators of a probe: against those of training, and where their moments are known."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.inner import CUTS, Cut
from hessdiag.meta import (
    ESTIMATORS,
    Options,
    Start,
    Validation,
    adjoint_meta_gradient,
    sources,
    unroll,
)
from hessdiag.meta.estimators import EvolutionStrategies
from hessdiag.meta.horizons import forward_meta_gradients
from hessdiag.probes.also.estimators import DEVIATIONS, Estimators
from hessdiag.probes.chunks import unheard
from hessdiag.probes.measured import Measured
from hessdiag.probes.settings import ProbeSettings
from hessdiag.statistics import Parts, mix_weights
from tests.meta.conftest import ALPHA, N, shared_case, system_of
from tests.oracles.synthetic import Quadratic

K, DRAWS = 600, 8
SPECTRUM, SLOPE, WEIGHT = (0.0, 20.0, 50.0, -30.0), 0.5, 0.8


def estimators(system, n=N, **settings) -> Estimators:
    """Of unrolls from a start that is the state itself."""
    few: dict[str, Any] = {"samples": 2, "resamples": 200, "chunk": 2}
    nothing: dict[str, Any] = {"cuts": {}, "weights": {}, "mixing": []}
    nothing |= {"headline": "", "memory": None}
    held = ProbeSettings(**few | settings)
    return Estimators(Measured(system, lambda state, _: state, n, held, **nothing))


@pytest.fixture(scope="module")
def case():
    """Clipped Adam with some history."""
    with jax.enable_x64(True):
        yield shared_case("mrp")


@pytest.fixture(scope="module")
def made(case) -> dict[str, np.ndarray]:
    """Every candidate of one sample."""
    of = estimators(case.system)
    parts = jax.device_get(jax.jit(of.sample)(case.start, case.key))
    held = Parts(*(np.asarray(part)[None] for part in parts))
    return {name: one.made(held)[0] for name, one in of.candidates.items()}


@pytest.fixture(scope="module")
def drawn(case) -> np.ndarray:
    """(n, R, m) meta-gradients by tangents forward."""
    keys = sources(case.key, N, validations=DRAWS)
    return jax.jit(
        lambda start: forward_meta_gradients(case.system, start, keys, Validation(), ())
    )(case.start)


def assert_near(actual, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=1e-8 * scale)


def test_sums_are_those_of_sweeps_forward(made, drawn):
    assert_near(made["n-step"], drawn[-1, 0])
    for kappa in (0.5, 0.667, 0.95):
        weights = mix_weights(N, None if kappa == 0.667 else kappa)
        assert_near(made[f"mix {kappa}"], weights @ drawn[:, 0])
    for number in (2, 4, 8):
        assert_near(made[f"validations {number}"], drawn[-1, :number].mean(axis=0))


def test_many_steps_have_a_sum_for_every_mix(case):
    """Those of few steps are made of all shorter meta-gradients: see above."""
    n = 14
    of, keys = estimators(case.system, n), sources(case.key, n)
    parts = jax.jit(of.sample)(case.start, case.key)
    assert len(parts.mixes) < n
    forward = jax.jit(
        lambda start: forward_meta_gradients(case.system, start, keys, Validation(), ())[:, 0]
    )(case.start)
    assert_near(parts.mixes[0], mix_weights(n, 0.5) @ forward)
    assert_near(parts.mixes[-1], mix_weights(n, 0.95) @ forward)


@pytest.mark.parametrize(
    ("name", "cut"),
    [("trace 0.7", Cut(trace=0.7)), ("no-first-moment", CUTS["no-first-moment"])],
)
def test_cuts_are_those_of_training(case, made, name, cut):
    swept = jax.jit(lambda points: adjoint_meta_gradient(case.system, case.start, points, cut=cut))(
        case.points
    )
    assert_near(made[name], swept)
    assert np.abs(made[name] - made["n-step"]).max() > 1e-6 * np.abs(swept).max()


def test_the_first_of_a_trace_is_the_last_term(made):
    assert_near(made["trace 0"], made["last 1"])
    assert np.abs(made["trace 0.3"] - made["last 1"]).max() > 0


def test_evolution_strategies_are_those_of_training(case, made):
    for sigma in DEVIATIONS[1:]:
        trained = EvolutionStrategies(Options(n=N, perturbation=sigma))
        step = jax.jit(lambda start, of=trained: of(case.system, start, case.key, ()))(case.start)
        assert_near(made[f"es {sigma:.3g}"], step.meta_gradient)


@dataclass(frozen=True)
class Counted(Quadratic):
    """Counts its rollouts as they are made."""

    made: ClassVar[list[int]] = []

    def rollout(self, params, hyper, env_state, key):
        jax.debug.callback(lambda _: self.made.append(1), params[0])
        return super().rollout(params, hyper, env_state, key)


def test_rollouts_are_those_that_an_estimate_makes():
    system = system_of(Counted(), "sgd", clip=0.0)
    costs = {name: one.rollouts for name, one in estimators(system).candidates.items()}
    params, env_state = system.problem.start(None, jax.random.key(0))
    start = Start(system.update.init(params), jnp.ones(1), env_state)
    key, options = jax.random.key(1), Options(n=N)

    def count(estimate) -> int:
        Counted.made.clear()
        jax.block_until_ready(jax.jit(estimate)(start))
        jax.effects_barrier()
        return len(Counted.made)

    for name, held in (("n-step", "n-step"), ("mix", "mix 0.5"), ("trace", "trace 0.9")):
        estimate = ESTIMATORS[name](options)
        assert count(lambda at, of=estimate: of(system, at, key, ()).meta_gradient) == costs[held]
    kept = 1  # training goes on from an unroll of its own
    pair = EvolutionStrategies(options)
    assert count(lambda at: pair(system, at, key, ()).meta_gradient) == costs["es 0.1"] + kept
    four = sources(key, N, validations=4)
    end = {"objective": Validation(), "at": "last"}
    assert count(lambda at: unroll(system, at, four, **end).outer) == costs["validations 4"]


@dataclass(frozen=True)
class Known:
    """Mean and variance of Σ_i scale_i s_i w_i with all s and w independent and of mean one."""

    scales: np.ndarray  # (size,)
    weight: float = WEIGHT**2  # variance of w

    @property
    def mean(self) -> float:
        return float(self.scales.sum())

    @property
    def variance(self) -> float:
        return float((self.scales**2).sum() * ((1 + SLOPE**2) * (1 + self.weight) - 1))


def known(terms: int = N, **more: Any) -> Known:
    """Of the last terms of a quadratic under gradient descent.

    dL'/dη = −α Σ_i s_i w_i Σ_j (1 − α c_i)^{n−1−j}.
    """
    factors = 1.0 - ALPHA * np.asarray(SPECTRUM)
    return Known(-ALPHA * np.sum([factors**k for k in range(terms)], axis=0), **more)


def of_trace(mu: float) -> Known:
    """Where products are powers of μ."""
    return Known(np.full(len(SPECTRUM), -ALPHA * sum(mu**k for k in range(N))))


KNOWN = {
    "n-step": known(),
    "last 1": known(terms=1),
    "last 2": known(terms=2),
    "trace 0.5": of_trace(0.5),
    "no-hessian": of_trace(1.0),
    "no-memory": known(),
    "validations 2": known(weight=WEIGHT**2 / 2),
    "validations 8": known(weight=WEIGHT**2 / 8),
}


@pytest.fixture(scope="module")
def sampled() -> dict[str, dict[str, Any]]:
    """Variables of a quadratic whose moments are known, by name; a row per candidate."""
    with jax.enable_x64(True):
        problem = Quadratic(spectrum=SPECTRUM, slope_std=SLOPE, weight_std=WEIGHT)
        system = system_of(problem, "sgd", clip=0.0)
        params, env_state = problem.start(None, jax.random.key(0))
        start = Start(system.update.init(params), jnp.ones(1), env_state)
        of = estimators(system, samples=K, chunk=200)
        keys = jax.random.split(jax.random.key(3), K)
        values = of.measure(start, keys, keys[0], progress=lambda _: None, tell=unheard)
    names, columns = list(of.coords["candidate"]), dict(values)
    whole = {key: columns.pop(key) for key in list(columns) if key.startswith("drawn")}
    return {
        name: {key: np.ravel(value[place])[0] for key, value in columns.items()}
        for place, name in enumerate(names)
    } | {"whole": whole}


@pytest.mark.parametrize("name", KNOWN)
def test_moments_are_those_of_the_closed_form(sampled, name):
    found, expected = sampled[name], KNOWN[name]
    bias = expected.mean - KNOWN["n-step"].mean
    assert found["candidate_mean"] == pytest.approx(
        expected.mean, abs=4 * found["candidate_mean_se"]
    )
    assert found["candidate_bias"] == pytest.approx(
        bias, abs=4 * found["candidate_bias_error"] + 1e-12
    )
    # the 4th moment of a product of normal numbers is large: 4 standard errors are about 20 %
    assert found["candidate_std"] == pytest.approx(np.sqrt(expected.variance), rel=0.2)
    assert found["candidate_std_low"] < found["candidate_std"] < found["candidate_std_high"]
    assert found["candidate_mean_se"] == pytest.approx(found["candidate_std"] / np.sqrt(K))


def test_the_share_of_validation_is_that_of_the_weights(sampled):
    """Slopes are of the inner updates, weights of the outer loss: E[s²] Var(w) over the whole."""
    squares = 1 + SLOPE**2
    share = squares * WEIGHT**2 / (squares * (1 + WEIGHT**2) - 1)
    name = "drawn_validation_share"
    found = sampled["whole"]
    assert found[name] == pytest.approx(share, abs=0.1)
    assert found[f"{name}_low"] < share < found[f"{name}_high"]


def test_evolution_strategies_of_a_linear_loss_are_unbiased_and_noisy(sampled):
    """ε² times the gradient, whatever σ: E[ε⁴] = 3."""
    whole = KNOWN["n-step"]
    variance = 3 * (whole.variance + whole.mean**2) - whole.mean**2
    for sigma in DEVIATIONS:
        found = sampled[f"es {sigma:.3g}"]
        assert found["candidate_std"] == pytest.approx(np.sqrt(variance), rel=0.25)
        assert abs(found["candidate_bias"]) < 4 * found["candidate_bias_error"]


def test_mixes_average_what_is_drawn_apart(sampled):
    """Slopes are the same at all horizons, weights are drawn at each."""
    weights = mix_weights(N, 0.5)
    scales = np.stack([known(terms=i).scales for i in range(1, N + 1)])
    together = weights @ scales
    noise = (weights[:, None] ** 2 * scales**2).sum(axis=0) * WEIGHT**2
    variance = ((1 + SLOPE**2) * (together**2 + noise) - together**2).sum()
    found = sampled["mix 0.5"]
    assert found["candidate_std"] == pytest.approx(np.sqrt(variance), rel=0.2)
    bias = together.sum() - KNOWN["n-step"].mean
    assert found["candidate_bias"] == pytest.approx(bias, abs=4 * found["candidate_bias_error"])
