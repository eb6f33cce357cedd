"""How long a compiled program takes, to compile and to run, and how much memory."""

import itertools
import time
from typing import Any, NamedTuple

import jax


class Program(NamedTuple):
    """What was found of one."""

    compile_seconds: float
    seconds: float  # of one call
    memory_bytes: int


def timed(program: Any, *arguments: Any) -> Program:
    """Compile, warm up, and time the faster of two calls."""
    moments = [time.perf_counter()]
    compiled = program.lower(*arguments).compile()
    moments.append(time.perf_counter())
    for _ in range(3):  # the first call warms up
        jax.block_until_ready(compiled(*arguments))
        moments.append(time.perf_counter())
    compiling, _, *seconds = (after - before for before, after in itertools.pairwise(moments))
    memory = compiled.memory_analysis()
    sizes = ("argument_size_in_bytes", "temp_size_in_bytes", "output_size_in_bytes")
    memory_bytes = sum(int(getattr(memory, size, 0)) for size in sizes)
    return Program(compiling, min(seconds), memory_bytes)
