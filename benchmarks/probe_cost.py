"""What a probe with every operator costs at n = 5, in meta-gradients of the same state.

Both are compiled as `hessdiag run` compiles them, and run as it runs them.
"""

import time

import jax
import numpy as np

from benchmarks.snake_case import compiled_step, make_case, n_step
from benchmarks.timing import save
from hessdiag import spectra
from hessdiag.inner import linearised_step
from hessdiag.meta import Start, sources, unroll
from hessdiag.probes.inner_loop import InnerLoop, InnerLoopSettings, InnerLoopSpectra
from hessdiag.problems.snake import Snake
from hessdiag.train.self_test import set_up_compilation

N, HISTORY, REPEATS = 5, 100, 3


@spectra.one_lapack_thread
def main() -> None:
    set_up_compilation()
    case = make_case(Snake())
    system, update = case.system, case.system.update

    @jax.jit
    def iterate(state, env_state, key):
        env_state, seen = system.rollout(state.params, eta, env_state, key)
        return update(state, seen, eta), env_state

    state, eta, env_state, _ = case.start
    for t in range(HISTORY):  # Adam's first steps are signs, and their spectra easy
        state, env_state = iterate(state, env_state, jax.random.key(100 + t))
    start = Start(state, eta, env_state)
    points = jax.jit(lambda start: unroll(system, start, sources(case.key, N)))(start)
    states = jax.tree.map(lambda leaf: leaf[:-1], points.states)
    loop = InnerLoop(
        lambda point: linearised_step(update, point[0], point[1], eta),
        InnerLoopSettings(tolerance=1e-3),
    )
    step, at = compiled_step(case, n_step(N))

    def probe():
        return loop.measure((states, points.trajectories), jax.random.key(5))

    measured = probe()
    jax.block_until_ready(step(*at))
    probes, meta_gradients = [], []
    for _ in range(REPEATS):  # in turns: the machine is not equally fast all the time
        probes.append(_seconds(probe))
        turn = [_seconds(lambda: jax.block_until_ready(step(*at))) for _ in range(9)]
        meta_gradients.append(np.median(turn))
    ratio = float(np.median(np.divide(probes, meta_gradients)))
    spent = _products(measured)
    save(
        "probe_cost",
        "python -m benchmarks.probe_cost",
        [
            {
                "what": "full probe of one unroll at n = 5, all operators and products, 1e-3 / "
                "one meta-gradient",
                "value": ratio,
                "unit": "×",
                "goal": "≤ 60",
            },
            {"what": "the probe", "value": float(np.median(probes)), "unit": "s"},
            {
                "what": "the meta-gradient",
                "value": float(np.median(meta_gradients)) * 1e3,
                "unit": "ms",
            },
            *(
                {"what": f"Hessian-vector products: {what}", "value": count, "unit": ""}
                for what, count in spent.items()
            ),
        ],
    )


def _seconds(call) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _products(measured: InnerLoopSpectra) -> dict[str, int]:
    """Products that the results report, without checks, balancing and departures."""
    made = {"Hessians": sum(step.ends.matvecs for step in measured.hessians)}
    for name in ("preconditioned", "augmented"):
        steps = measured.operators[name]
        made[f"eigenvalues, {name}"] = sum(step.ritz.matvecs for step in steps)
        norms = enumerate(measured.products[name])
        made[f"products, {name}"] = sum(2 * i * norm.matvecs for i, norm in norms)
    made["products, paper"] = sum(
        2 * i * norm.matvecs for i, norm in enumerate(measured.products["paper"])
    )
    return made


if __name__ == "__main__":
    main()
