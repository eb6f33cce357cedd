"""Each term's curvature against dense Hessians of the loss, other weights at zero."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.meta import point, sources, unroll
from hessdiag.meta.streams import run_keys
from hessdiag.probes.also.loss_terms import LossTerms, trace_shares
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.probe import measured_by

KEYS, TERMS = run_keys(0), ["policy", "critic", "entropy"]
CARTPOLE = {
    "env": "gymnax:CartPole-v1",
    "n": 2,
    "learning.learning_rate": 0.02,
    "probe.also": ["loss-terms"],
    "probe.samples": 2,
    "probe.tolerance": 1e-10,
    "probe.starts": 4,
    "problem.hidden": 3,
    "problem.batch_size": 4,
    "problem.rollout_length": 6,
}


@dataclasses.dataclass
class Truth:
    """Of the first inner step of one sample's unroll, all dense and in float64."""

    learner: Learner
    state: object
    key: jax.Array
    hessians: dict[str, np.ndarray]  # by term, the other weights at zero
    named: dict[str, np.ndarray]  # by term, as the problem names it
    whole: np.ndarray
    rate: float
    response: np.ndarray  # α P⁻¹, clipping included
    limit: float


@pytest.fixture(scope="module")
def truth():
    with jax.enable_x64(True):
        learner = Learner(resolve(CARTPOLE))
        state = learner.init(KEYS.init)
        for t in range(3):
            state, _ = learner.step(state, jax.random.fold_in(KEYS.train, t))
        key = jax.random.key(7)
        yield dense(learner, state, key)


def dense(learner, state, key) -> Truth:
    system, start = learner.system, learner.start(state, key)
    points = unroll(system, start, sources(key, 2))
    inner, seen = point(points.states, 0), point(points.trajectories, 0)
    theta, unravel = ravel_pytree(inner.params)
    hyper = system.hyper(start.eta)

    def apart(x):
        """(3,) by differences of losses whose weights are zero or not."""

        def loss(**weights):
            none = {"c_crit": 0.0, "c_entr": 0.0}
            return system.problem.inner_loss(unravel(x), hyper | none | weights, seen)

        others = [loss(**{name: hyper[name]}) - loss() for name in ("c_crit", "c_entr")]
        return jnp.stack([loss(), *others])

    def named(x):
        return system.inner_loss_terms(unravel(x), start.eta, seen)

    def whole(x):
        return system.update.loss(unravel(x), start.eta, seen)

    made = jax.jit(lambda x: [jax.hessian(f)(x) for f in (apart, named, whole)])(theta)
    gradient = ravel_pytree(jax.grad(whole)(theta))[0]
    after = system.update(inner, seen, start.eta).opt_state
    first, second = 1 - 0.9 ** after[0].count, 1 - 0.999 ** after[0].count
    held = first * (jnp.sqrt(ravel_pytree(after[0].nu)[0] / second) + 1e-8)
    clipped = jnp.minimum(1.0, 0.5 / jnp.linalg.norm(gradient))
    return Truth(
        learner=learner,
        state=state,
        key=key,
        hessians=dict(zip(TERMS, np.asarray(made[0]), strict=True)),
        named={name: np.asarray(matrix) for name, matrix in made[1].items()},
        whole=np.asarray(made[2]),
        rate=0.02,
        response=np.asarray(0.02 * clipped / held),
        limit=2 * 1.9 / 0.1,
    )


@pytest.fixture(scope="module", params=[64, 4], ids=["many", "few"])
def values(request, truth):
    with jax.enable_x64(True):
        settings = resolve(CARTPOLE | {"probe.max_matvecs": request.param})
        part = LossTerms(measured_by(truth.learner, settings))
        assert part.coords == {"loss_term": TERMS}
        done = []
        made = part.measure(
            truth.state, truth.key[None], KEYS.lanczos, progress=done.append, tell=print
        )
    assert sum(done) == part.units == 1
    return {name: of[0] for name, of in made.items()}


def test_terms_sum_to_the_loss_and_so_do_their_hessians(truth):
    size = np.abs(truth.whole).max()
    assert set(truth.named) == set(TERMS)
    for name, hessian in truth.hessians.items():
        np.testing.assert_allclose(truth.named[name], hessian, atol=1e-12 * size)
        assert np.abs(hessian).max() > 1e-4 * size
    np.testing.assert_allclose(sum(truth.named.values()), truth.whole, atol=1e-12 * size)


@pytest.mark.parametrize(("end", "place"), [("lowest", 0), ("highest", -1)])
def test_ends_are_those_of_the_dense_hessians_within_their_errors(truth, values, end, place):
    for k, term in enumerate(TERMS):
        eigenvalues = truth.rate * np.linalg.eigvalsh(truth.hessians[term])
        error = values[f"loss_term_{end}_error"][k]
        rounding = 1e-12 * np.abs(eigenvalues).max()
        assert abs(values[f"loss_term_{end}"][k] - eigenvalues[place]) <= error + rounding
        if values["loss_term_converged"][k]:
            assert error < 1e-6 * np.abs(eigenvalues).max()


def test_edge_shares_are_those_of_the_explicit_preconditioner_within_their_errors(truth, values):
    root, shares = np.sqrt(truth.response), []
    for k, term in enumerate(TERMS):
        scaled = root[:, None] * truth.hessians[term] * root
        shares.append(np.linalg.eigvalsh(scaled)[-1] / truth.limit)
        error = values["loss_term_edge_share_error"][k]
        assert abs(values["loss_term_edge_share"][k] - shares[k]) <= error + 1e-9 * shares[k]
    assert np.argmax(values["loss_term_edge_share"]) == np.argmax(shares)


def test_shares_of_the_trace_are_exact_where_products_pay_for_it(truth, values):
    traces = np.array([np.trace(truth.hessians[term]) for term in TERMS])
    np.testing.assert_allclose(values["loss_term_trace_share"], traces / traces.sum(), rtol=1e-8)
    assert np.all(values["loss_term_trace_share_error"] < 1e-8)


def test_products_are_counted_and_few_are_not_enough(request, truth, values):
    spent = values["loss_term_matvecs"] - len(truth.whole)  # those of the trace
    if "many" in request.node.name:
        assert np.all(values["loss_term_converged"])
        assert np.all(spent > 2 * 4 * 4)
    else:
        assert not np.any(values["loss_term_converged"])
        assert np.all((spent >= 2 * 4 * 4) & (spent <= 2 * 4 * 5))


def test_an_interval_of_a_share_holds_all_shares_that_traces_in_theirs_have():
    traces, halves = np.array([3.0, -1.0, 0.5]), np.array([0.5, 0.25, 0.125])
    shares, error = trace_shares(traces, halves)
    np.testing.assert_allclose(shares, traces / 2.5)
    random = traces + halves * np.random.default_rng(0).uniform(-1, 1, (4000, 3))
    away = np.abs(random / random.sum(axis=1, keepdims=True) - shares).max(axis=0)
    assert np.all(away <= error)
    assert np.all(away > 0.6 * error)
    assert np.all(np.isinf(trace_shares(traces, 3 * halves)[1]))
