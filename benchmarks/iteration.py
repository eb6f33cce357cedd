"""A training iteration on Snake against its arithmetic floor, and where the rest goes.

Of an iteration with n inner steps: n + 1 rollouts, n inner gradients and one outer one are timed by
themselves, and the environment's steps with actions that are there already. What is left are the
products with second derivatives, the two updates, and what lies between. It may be negative: a
part by itself is compiled by itself, and takes longer where what it reads is laid out otherwise.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.floor import floor_seconds
from benchmarks.timing import medians, save
from hessdiag.meta.streams import run_keys
from hessdiag.train.learner import Learner, TrainState
from hessdiag.train.presets import resolve

BOARDS, HORIZONS, STRIDE, REPEATS = (6, 12), (0, 1, 5), 8, 9
COLUMNS = (
    *("n", "iteration, ms", "arithmetic floor, ms", "ratio", "rollouts, ms"),
    *("of these the environment, ms", "gradients, ms", "the rest, ms"),
)


def main() -> None:
    tables, rows = [], []
    for board in BOARDS:
        lines = []
        for n in HORIZONS:
            seconds = measured(board, n)
            floor, whole = floor_seconds(n, board=board), seconds["iteration"]
            played = seconds["rollout"] * (n + 1)
            gradients = seconds["inner"] * max(n, 1) + (seconds["outer"] if n else 0.0)
            times = [played, seconds["environment"] * (n + 1), gradients]
            rest = whole - played - gradients
            lines.append(
                [n, whole * 1e3, floor * 1e3, whole / floor, *(t * 1e3 for t in (*times, rest))]
            )
            rows.append(
                {
                    "what": f"iteration / arithmetic floor, {board}×{board}, n = {n}",
                    "value": whole / floor,
                    "unit": "×",
                    "goal": "→ 2",
                }
            )
        title = f"Snake {board}×{board}, 32 environments, 20 steps"
        tables.append({"title": title, "columns": list(COLUMNS), "rows": lines})
    save("iteration", "python -m benchmarks.iteration", rows, tables=tables)


def measured(board: int, n: int) -> dict[str, float]:
    """Median seconds of an iteration as training does it, and of its parts."""
    settings = resolve(
        {
            "env": "snake",
            "n": n,
            "problem.rows": board,
            "problem.cols": board,
            "train.iterations": 1000,
            "train.stride": STRIDE,
        }
    )
    learner, keys = Learner(settings), run_keys(0)
    state = learner.init(keys.init)
    parts = {name: (jax.jit(part), at) for name, (part, at) in parts_of(learner, state).items()}
    whole = learner.advance.lower(state, keys.train, jnp.asarray(0), jnp.asarray(STRIDE)).compile()
    calls: dict[str, Callable[[], Any]] = {
        name: lambda part=part, at=at: part(*at) for name, (part, at) in parts.items()
    }
    calls["iteration"] = lambda: whole(state, keys.train, jnp.asarray(0), jnp.asarray(STRIDE))
    seconds = medians(calls, repeats=REPEATS)
    return seconds | {"iteration": seconds["iteration"] / STRIDE}


def parts_of(learner: Learner, state: TrainState):
    """What an iteration is made of: functions, and where they are called."""
    system, problem, key = learner.system, learner.problem, jax.random.key(1)
    params, eta, start = state.inner.params, state.eta, state.env_state
    _, played = jax.jit(system.rollout)(params, eta, start, key)

    def steps(state, actions):
        return jax.lax.scan(
            lambda now, action: (problem.environment.step(now, action)[0], None), state, actions
        )[0]

    return {
        "rollout": (system.rollout, (params, eta, start, key)),
        "environment": (steps, (start.state, played.transitions.action.T)),
        "inner": (jax.grad(system.update.loss), (params, eta, played)),
        "outer": (
            jax.grad(lambda params: problem.outer_loss(params, system.hyper(eta), played)),
            (params,),
        ),
    }


if __name__ == "__main__":
    main()
