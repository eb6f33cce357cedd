"""Problems small enough for exact references, in double precision."""

from dataclasses import dataclass

import jax
import pytest

from hessdiag import problems
from hessdiag.inner import InnerUpdate, annealing, inner_optimiser
from hessdiag.meta import Start, Unroll, point, unroll
from hessdiag.problems import initial_eta
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


@dataclass
class Case:
    """A problem at a state with some history, and an unroll of N steps validated everywhere."""

    update: InnerUpdate
    params: object  # before the history
    history: list  # gradients fed to the optimiser before the unroll
    start: Start
    key: jax.Array
    points: Unroll

    @property
    def state(self):
        return self.start.inner

    @property
    def eta(self):
        return self.start.eta

    @property
    def losses(self):
        """(θ, η, j) → L and (θ, i) → L' on what the unroll saw, what is stopped being frozen."""
        if hasattr(self.update.problem, "rollout_length"):
            frozen = FrozenActorCritic(self.update.problem, self.points)
            return frozen.inner, frozen.outer
        return (
            lambda params, eta, j: self.update.loss(
                params, eta, point(self.points.trajectories, j)
            ),
            lambda params, i: self.update.problem.outer_loss(
                params, point(self.points.validation, i - 1)
            ),
        )


def make_case(env: str, optimiser: str = "adam", *, clip: float = CLIP, n: int = N) -> Case:
    problem = problems.make(env, SMALL_SNAKE if env == "snake" else {"batch_size": 8})
    update = InnerUpdate(
        problem, inner_optimiser(optimiser), annealing("constant", ALPHA, 1), clip_norm=clip
    )
    params, env_state = problem.init(jax.random.key(0))
    params = with_dead_units(params)
    eta = initial_eta(problem.meta_parameters)
    key = jax.random.key(1)
    _, seen = problem.rollout(params, env_state, jax.random.key(2))
    gradient = jax.jit(update.gradient)(params, eta, seen)
    history = [jax.tree.map(lambda g, s=s: s * g, gradient) for s in (1.0, -0.5, 2.0)]
    state = update.init(params)
    for fed in history:  # a first Adam step is a sign: it would hardly depend on η
        state = update.apply(state, fed)
    start = Start(state, eta, env_state)
    points = jax.jit(lambda start: unroll(update, start, key, n=n, validate_all=True))(start)
    return Case(update, params, history, start, key, points)


@pytest.fixture(scope="module", params=["mrp", "snake"])
def adam_case(request):
    """Under clipped Adam, with dead units."""
    with jax.enable_x64(True):
        yield make_case(request.param)


@pytest.fixture(scope="module")
def sgd_case():
    """Under plain SGD, where eq. 11 is exact."""
    with jax.enable_x64(True):
        yield make_case("mrp", "sgd", clip=0.0)
