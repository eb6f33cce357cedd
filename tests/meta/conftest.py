"""Problems small enough for exact references, in double precision."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import pytest

from hessdiag import problems
from hessdiag.inner import InnerUpdate, annealing, clip_to_norm, inner_optimiser
from hessdiag.meta import Start, System, Unroll, Validation, point, sources, unroll
from tests.oracles.actor_critic import FrozenActorCritic
from tests.oracles.meta_gradient import with_dead_units

ALPHA, CLIP, N = 1e-2, 0.002, 3
SMALL_SNAKE = {
    "rows": 5,
    "cols": 4,
    "batch_size": 3,
    "rollout_length": 5,
    "maps": 4,
    "torso": 6,
    "head": 5,
}


class Seen(NamedTuple):
    """What an unroll saw, stacked."""

    states: Any  # x^(0) … x^(N)
    trajectories: Any  # τ^(0) … τ^(N−1)
    validation: Any  # τ̃^(1) … τ̃^(N)


@dataclass(eq=False)  # hashable: what is made of one is made once
class Case:
    """A problem at a state with some history, and an unroll of N steps evaluated everywhere."""

    system: System
    params: object  # before the history
    history: list  # gradients fed to the optimiser before the unroll
    start: Start
    key: jax.Array
    points: Unroll
    seen: Seen

    @property
    def update(self) -> InnerUpdate:
        return self.system.update

    @property
    def state(self):
        return self.start.inner

    @property
    def eta(self):
        return self.start.eta

    @property
    def losses(self):
        """(θ, η, j) → L and (θ, i) → L' on what the unroll saw, what is stopped being frozen."""
        if hasattr(self.system.problem, "rollout_length"):
            frozen = FrozenActorCritic(self.system.problem, self.seen)
            return frozen.inner, frozen.outer
        return (
            lambda params, eta, j: self.update.loss(params, eta, point(self.seen.trajectories, j)),
            lambda params, i: self.system.outer_loss(
                params, self.eta, point(self.seen.validation, i - 1)
            ),
        )


@functools.cache
def shared_case(env: str, optimiser: str = "adam", *, clip: float = CLIP, n: int = N) -> Case:
    """A case in double precision, made once for all modules."""
    with jax.enable_x64(True):
        return make_case(env, optimiser, clip=clip, n=n)


def make_case(env: str, optimiser: str = "adam", *, clip: float = CLIP, n: int = N) -> Case:
    problem = problems.make(env, SMALL_SNAKE if env == "snake" else {"batch_size": 8})
    system = system_of(problem, optimiser, clip=clip)
    eta = system.init_eta(jax.random.key(4))
    params, env_state = problem.start(system.eta_space.unravel(eta), jax.random.key(0))
    params = with_dead_units(params)
    key = jax.random.key(1)
    _, trajectories = system.rollout(params, eta, env_state, jax.random.key(2))
    gradient = jax.jit(system.update.gradient)(params, eta, trajectories)
    history = [jax.tree.map(lambda g, s=s: s * g, gradient) for s in (1.0, -0.5, 2.0)]
    state = system.update.init(params)
    for fed in history:  # a first Adam step is a sign: it would hardly depend on η
        state = system.update.apply(state, fed)
    start = Start(state, eta, env_state)
    points, seen = jax.jit(lambda start: unrolled(system, start, key, n))(start)
    return Case(system, params, history, start, key, points, seen)


def system_of(problem, optimiser: str = "adam", *, clip: float = CLIP) -> System:
    """With a constant learning rate."""
    rate = annealing("constant", ALPHA, 1)
    return System.of(
        problem,
        inner_optimiser(optimiser, rate),
        rate,
        clip=clip_to_norm(clip) if clip > 0 else None,
    )


def unrolled(system: System, start: Start, key, n: int) -> tuple[Unroll, Seen]:
    """An unroll with the outer loss everywhere, and the trajectories that it was taken on."""
    drawn = sources(key, n)
    points = unroll(system, start, drawn, objective=Validation())

    def validation(at):
        params, env_state, key = at
        return system.rollout(params, start.eta, env_state, key)[1]

    after = jax.tree.map(lambda leaf: leaf[1:], points.states.params)
    outer = jax.lax.map(validation, (after, points.env_states, drawn.validation[:, 0]))
    return points, Seen(points.states, points.trajectories, outer)


@pytest.fixture(scope="module", params=["mrp", "snake"])
def adam_case(request):
    """Under clipped Adam, with dead units."""
    with jax.enable_x64(True):
        yield shared_case(request.param)


@pytest.fixture(scope="module")
def adam_mrp():
    """Of the small problem alone."""
    with jax.enable_x64(True):
        yield shared_case("mrp")


@pytest.fixture(scope="module")
def sgd_case():
    """Under plain SGD, where eq. 11 is exact."""
    with jax.enable_x64(True):
        yield shared_case("mrp", "sgd", clip=0.0)
