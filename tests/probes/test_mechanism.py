"""What a probe says of terms, cuts and sources, against the meta-gradients that it samples."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import optax
import pytest

from hessdiag.errors import UsageError
from hessdiag.meta import Start, System, all_horizons, point
from hessdiag.meta.streams import run_keys
from hessdiag.probes.mechanism import MechanismProbe
from hessdiag.statistics import nested_shares
from hessdiag.statistics.bootstrap import bca_interval
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.probe import measured_by, probe_of
from tests.meta.conftest import unrolled
from tests.oracles.eq11_terms import DenseUnroll
from tests.train.recognisable import Recognisable, inner_numbers, validation_numbers

KEYS = run_keys(0)

N, K = 3, 6
FLAGS = {
    "env": "mrp",
    "n": 1,
    "probe.n": N,
    "problem.batch_size": 8,
    "probe.samples": K,
    "probe.chunk": 4,
    "probe.unrolls": 1,
    "probe.resamples": 100,
    "probe.operators": [],
    "probe.counterfactuals": ["no-hessian", "no-memory", "trace", "stable-hessian"],
    "probe.horizons": [1, 3],
    "probe.nested": 5,
    "trace_decay": 1.0,
    "train.iterations": 9,
}


def in_training(settings):
    """A learner, and a state with some history."""
    learner = Learner(settings)
    state = learner.init(KEYS.init)
    for t in range(3):
        state, _ = learner.step(state, jax.random.fold_in(KEYS.train, t))
    return learner, state


@pytest.fixture(scope="module")
def trained():
    return in_training(resolve(FLAGS))


def probed(trained, settings):
    (learner, state), seen = trained, []
    prober = probe_of(learner, settings)
    dataset = prober(state, 3, keys=KEYS, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == prober.steps
    return dataset


@pytest.fixture(scope="module")
def probe(trained):
    return probed(trained, resolve(FLAGS))


def test_the_full_cut_is_the_meta_gradient_of_the_same_samples(probe):
    full = probe.cut_meta_gradient.sel(cut="full")
    whole = probe.meta_gradient.sel(horizon=[1, 3])
    np.testing.assert_allclose(full, whole, rtol=2e-4, atol=1e-6 * np.abs(whole).max())
    np.testing.assert_allclose(probe.contribution.sum("inner_step"), full, rtol=1e-5, atol=1e-9)


def test_terms_of_all_horizons_stand_for_the_meta_gradients(trained, probe):
    """Summed, they are what is sampled where terms are not of all horizons."""
    flags = {"probe.horizons": [], "probe.nested": 0, "probe.products": False}
    summed = probed(trained, resolve(FLAGS | flags | {"probe.counterfactuals": ["neither"]}))
    scale = np.abs(probe.meta_gradient.values).max()
    np.testing.assert_allclose(
        summed.meta_gradient, probe.meta_gradient, rtol=2e-4, atol=1e-6 * scale
    )


def test_cuts_share_their_first_step(probe):
    """With one inner update no path is cut but the one through that update."""
    first = probe.cut_meta_gradient.sel(cut_horizon=1)
    for cut in ("no-hessian", "no-memory", "trace"):
        np.testing.assert_allclose(first.sel(cut=cut), first.sel(cut="full"), rtol=1e-5)
    assert not np.allclose(
        probe.cut_meta_gradient.sel(cut="no-memory", cut_horizon=3),
        probe.cut_meta_gradient.sel(cut="full", cut_horizon=3),
    )


def test_growth_under_cuts_is_that_of_the_stored_samples(probe):
    std = probe.cut_meta_gradient.std("sample", ddof=1)
    growth = (std / std.sel(cut_horizon=1)).mean("meta_parameter").transpose("cut", "cut_horizon")
    np.testing.assert_allclose(probe.cut_growth, growth, rtol=1e-4)
    np.testing.assert_allclose(
        probe.cut_growth.sel(cut="full", cut_horizon=3),
        probe.growth.sel(estimator="n-step", horizon=3),
        rtol=1e-3,
    )
    removed = 1 - np.log(growth) / np.log(growth.sel(cut="full"))
    np.testing.assert_allclose(
        probe.cut_removed.sel(cut_horizon=3), removed.sel(cut_horizon=3), rtol=1e-3, atol=1e-6
    )


def test_a_step_after_the_horizon_has_no_share(probe):
    assert np.isnan(probe.step_share.sel(horizon=1, inner_step=1))


def test_nested_parts_sum_to_the_variance_of_other_samples(trained):
    """Within the intervals of both, at every horizon: the two share no randomness."""
    many = {"probe.samples": 256, "probe.nested": 256, "probe.chunk": 256}
    settings = resolve(FLAGS | many | {"probe.counterfactuals": [], "probe.horizons": []})
    learner, state = trained
    mechanism = MechanismProbe(measured_by(learner, settings))
    keys = jax.random.split(jax.random.key(5), 256)
    nested = mechanism.sample(state, keys, progress=lambda _: None).nested
    assert nested is not None
    options = {"confidence": 0.99, "resamples": 500, "rng": np.random.default_rng(0)}
    shares = nested_shares(*nested, **options)
    anew = jax.jit(
        jax.vmap(lambda key: all_horizons(learner.system, learner.start(state, key), key, n=N))
    )
    sampled = np.asarray(anew(jax.random.split(jax.random.key(6), 256)))
    of_others = bca_interval(lambda s: s.std(axis=0, ddof=1), sampled, **options)
    np.testing.assert_array_less(shares.std.low, of_others.high)
    np.testing.assert_array_less(of_others.low, shares.std.high)
    ratio = np.exp(np.log(shares.std.value / of_others.value).mean())
    assert ratio == pytest.approx(1.0, abs=0.15)
    np.testing.assert_allclose(shares.validation.value + shares.inner.value, 1.0)


def test_e6_is_predicted_from_other_samples(trained):
    """With those of the meta-gradients, the first horizon would be the meta-gradient itself."""
    learner, state = trained
    few = {"probe.counterfactuals": ["neither"], "probe.nested": 0}
    keys = jax.random.split(jax.random.key(5), K)
    mechanism = MechanismProbe(measured_by(learner, resolve(FLAGS | few)))
    sampled = mechanism.sample(state, keys, progress=lambda _: None)
    alone = sampled.outer_growth
    assert alone is not None
    assert alone.shape == (K, N, state.eta.size)
    one_step = sampled.terms.contributions[:, 0, 0].sum(axis=1)
    assert np.all(np.abs(alone[:, 0] - one_step) > 1e-3 * np.abs(one_step))


@pytest.fixture(scope="module")
def recognised():
    """Numbers behind nested samples, (K', …, n) each: of pairs, of those sharing one, and drawn.

    Both inner (s) and validation (s') numbers, and those of the meta-gradients with the same keys.
    """
    rate, problem = 0.5, Recognisable()
    system = System.of(problem, optax.sgd(rate), optax.constant_schedule(rate))
    eta = system.init_eta(jax.random.key(0))
    params, env_state = problem.start(eta, jax.random.key(0))
    start = Start(system.update.init(params), eta, env_state)
    keys = jax.random.split(jax.random.key(1), 4)
    settings = resolve({"env": "mrp", "n": N, "probe.nested": 4, "probe.chunk": 3})
    measured = replace(
        measured_by(Learner(settings), settings), system=system, start=lambda state, _: state
    )
    nested = MechanismProbe(measured).sample(start, keys, progress=lambda _: None).nested
    assert nested is not None
    drawn = np.stack([all_horizons(system, start, key, n=N) for key in keys])
    return [
        (np.asarray(inner_numbers(made, rate)), np.asarray(validation_numbers(made)))
        for made in (*nested, drawn)
    ]


def test_pairs_share_their_inner_trajectories_and_nothing_else(recognised):
    (inner, validation), _, (of_keys, validation_of_keys) = recognised
    np.testing.assert_allclose(inner[:, 0], of_keys, atol=1e-5)
    np.testing.assert_allclose(inner[:, 1], of_keys, atol=1e-5)
    np.testing.assert_allclose(validation[:, 0], validation_of_keys, rtol=1e-4)
    assert closest(validation, inner) > 1e-4
    assert closest(validation[:, 0], validation[:, 1]) > 1e-4


def test_the_others_share_one_inner_step_with_their_pair_and_nothing_else(recognised):
    (inner, validation), (others, other_validation), _ = recognised
    of_pair = inner[:, 0]
    for j in range(N):
        np.testing.assert_allclose(others[:, j, j], of_pair[:, j], atol=1e-5)
    anew = others[:, ~np.eye(N, dtype=bool)]
    assert closest(anew, of_pair) > 1e-4
    assert closest(other_validation, validation) > 1e-4
    assert closest(other_validation, others) > 1e-4
    for numbers in (anew, other_validation):
        assert len(np.unique(numbers.round(4))) == numbers.size


def closest(some, others):
    """The smallest distance between a number of one array and one of another."""
    return np.abs(some.reshape(-1, 1) - others.reshape(1, -1)).min()


def test_all_explanations_speak_where_they_were_measured(probe):
    labels = [str(label) for label in probe.explanation.values]
    assert {label.split()[0] for label in labels} == {"E1", "E2", "E3", "E4", "E5", "E6"}
    np.testing.assert_allclose(probe.prediction.sel(horizon=1), 1.0, rtol=1e-5)
    measured = probe.prediction.sel(
        explanation=["E5 transient growth, coherent", "E6 validation noise"]
    )
    assert np.isfinite(measured.sel(horizon=[1, 3])).all()
    of_terms = measured.sel(explanation="E5 transient growth, coherent", horizon=2)
    assert np.isnan(of_terms)


def test_e5_adds_up_the_reach_of_the_terms(probe):
    reach = probe.term_reach.sel(cut_horizon=3)
    one = float(probe.term_reach.sel(cut_horizon=1, inner_step=0))
    predicted = probe.prediction.sel(horizon=3)
    coherent = predicted.sel(explanation="E5 transient growth, coherent")
    incoherent = predicted.sel(explanation="E5 transient growth, incoherent")
    np.testing.assert_allclose(coherent, reach.sum() / one, rtol=1e-6)
    np.testing.assert_allclose(incoherent, np.sqrt((reach**2).sum()) / one, rtol=1e-6)


def test_alignments_are_cosines(probe):
    values = probe.term_alignment.values
    assert np.nanmax(np.abs(values)) <= 1.0
    assert np.isfinite(values[-1]).all()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("probe.counterfactuals", ["no-such"], "--counterfactuals.*'no-such'"),
        ("probe.horizons", [1, 4], "probe.horizons"),
        ("probe.horizons", [2, 3], "1, the base of every ratio"),
        ("probe.nested", K + 1, "--nested"),
        ("trace_decay", 1.5, "--trace-decay.* 1.5"),
        ("paths", "all", "--paths.*'all'"),
        ("estimator", "td", "--estimator.*'td'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(key, value, words):
    with pytest.raises(UsageError, match=words):
        resolve(FLAGS | {key: value})


def test_a_trace_trains_as_the_counterfactual_of_that_name():
    def trained(**flags):
        learner = Learner(resolve({"env": "mrp", "n": 2, "trace_decay": 0.5, **flags}))
        state, info = learner.step(learner.init(KEYS.init), KEYS.train)
        return state.inner.params, info.meta_gradient

    params, meta_gradient = trained(estimator="trace")
    same_params, same = trained(paths="trace")
    full_params, full = trained()
    np.testing.assert_array_equal(meta_gradient, same)
    assert not np.allclose(meta_gradient, full)
    for other in (same_params, full_params):
        equal = jax.tree.map(lambda a, b: bool((a == b).all()), params, other)
        assert jax.tree.all(equal)


def probed_and_dense(optimiser: str):
    """A probe of one unroll, and dense derivatives of its inner updates."""
    flags = {
        "learning.optimiser": optimiser,
        "probe.counterfactuals": ["as-sgd"],
        "probe.horizons": [],
        "probe.nested": 0,
        "probe.tolerance": 1e-6,
        "probe.max_matvecs": 200,
        "probe.samples": 2,
        "probe.chunk": 2,
    }
    settings = resolve(FLAGS | flags)
    learner = Learner(settings)
    state, _ = learner.step(learner.init(KEYS.init), KEYS.train)
    dataset = probed((learner, state), settings)
    key = jax.random.split(jax.random.fold_in(KEYS.probe, 3), 2)[0]
    points, seen = unrolled(learner.system, learner.start(state, key), key, N)

    def inner(params, eta, j):
        return learner.system.update.loss(params, eta, point(seen.trajectories, j))

    def outer(params, i):
        return learner.system.outer_loss(params, state.eta, point(seen.validation, i - 1))

    case = SimpleNamespace(
        update=learner.system.update,
        state=state.inner,
        eta=state.eta,
        points=points,
        losses=(inner, outer),
    )
    return dataset.isel(operator_unroll=0), DenseUnroll(case)


@pytest.mark.slow
def test_alignment_of_equation_11_against_dense_products():
    """Under gradient descent every part of a term is a dense matrix, and both alignments agree."""
    data, dense = probed_and_dense("sgd")
    outer = dense.outer_gradient(N)
    product = np.eye(dense.size)
    for j in reversed(range(N)):
        _, _, _, hessian, mixed, _ = dense.steps[j]
        alpha = float(data.learning_rate[j])
        norm, of_eta = np.linalg.norm(product, 2), alpha * np.linalg.norm(mixed, axis=0)
        expected = outer @ product @ (-alpha * mixed) / (np.linalg.norm(outer) * norm * of_eta)
        at = data.isel(inner_step=j)
        np.testing.assert_allclose(at.eq11_alignment, expected, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(at.path_alignment, expected, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(at.eq11_product_norm, norm, rtol=1e-5)
        np.testing.assert_allclose(at.path_norm, alpha * norm, rtol=1e-5)
        np.testing.assert_allclose(at.eq11_mixed_norm, of_eta, rtol=1e-4)
        product = product @ (np.eye(dense.size) - alpha * hessian)
    np.testing.assert_allclose(data.eq11_outer_norm, np.linalg.norm(outer), rtol=1e-4)


@pytest.mark.slow
def test_alignment_on_the_augmented_state_against_dense_products():
    """The term of every inner update over the norms of its three factors, memory included."""
    data, dense = probed_and_dense("adam")
    outer = dense.outer_gradient(N)
    after = np.eye(len(outer))[: dense.size]
    for j in reversed(range(N)):
        at_rest, by_gradient, _, hessian, mixed, _ = dense.steps[j]
        path = after @ by_gradient
        norm = np.linalg.norm(path, 2)
        bound = np.linalg.norm(outer) * norm * np.linalg.norm(mixed, axis=0)
        at = data.isel(inner_step=j)
        assert at.path_converged
        np.testing.assert_allclose(at.path_norm, norm, rtol=1e-4)
        expected = outer[: dense.size] @ path @ mixed / bound
        np.testing.assert_allclose(at.path_alignment, expected, rtol=2e-3, atol=1e-5)
        jacobian = at_rest.copy()
        jacobian[:, : dense.size] += by_gradient @ hessian
        after = after @ jacobian
