"""The n = 5 meta-gradient on Snake 12×12 against stock flax layers and the arithmetic floor."""

import jax
import numpy as np

from benchmarks.floor import floor_seconds
from benchmarks.snake_case import StockSnake, compiled_step, make_case, n_step
from benchmarks.timing import medians, save
from hessdiag.meta import Validation, sources
from hessdiag.meta.horizons import forward_meta_gradients
from hessdiag.problems.snake import Snake

N = 5


def main() -> None:
    ours, stock = make_case(Snake()), make_case(StockSnake())
    calls, memory, values = {}, {}, {}
    for name, case, remat in (
        ("ours", ours, True),
        ("ours, stored", ours, False),
        ("stock", stock, True),
    ):
        call, at = compiled_step(case, n_step(N, remat=remat))
        calls[name] = lambda call=call, at=at: call(*at)
        memory[name] = getattr(call.memory_analysis(), "temp_size_in_bytes", 0) / 2**20
        values[name] = np.asarray(calls[name]())
    drawn = sources(ours.key, N)
    sweep = jax.jit(
        lambda: forward_meta_gradients(ours.system, ours.start, drawn, Validation(), ())
    )
    single = [compiled_step(ours, n_step(i)) for i in range(1, N + 1)]
    calls["all horizons, forward"] = sweep
    calls["all horizons, reverse"] = lambda: [call(*at) for call, at in single]
    seconds = medians(calls, repeats=5)
    floor = floor_seconds(N)
    difference = np.abs(values["ours"] - values["stock"]).max() / np.abs(values["stock"]).max()

    def row(what, value, unit="", goal=""):
        return {"what": what, "value": float(value), "unit": unit, "goal": goal}

    save(
        "meta_gradient",
        "python -m benchmarks.meta_gradient",
        [
            row("stock flax layers / ours, time", seconds["stock"] / seconds["ours"], "×", "≥ 10"),
            row("ours / arithmetic floor, time", seconds["ours"] / floor, "×", "→ 2"),
            row("ours, recomputing inner steps", seconds["ours"] * 1e3, "ms"),
            row("ours, storing inner steps", seconds["ours, stored"] * 1e3, "ms"),
            row("largest difference of values, relative to the largest entry", difference),
            row("temporary memory, recomputing", memory["ours"], "MiB"),
            row("temporary memory, storing", memory["ours, stored"], "MiB"),
            row(
                "all horizons 1…5: five reverse sweeps / one forward sweep, time",
                seconds["all horizons, reverse"] / seconds["all horizons, forward"],
                "×",
            ),
        ],
    )


if __name__ == "__main__":
    main()
