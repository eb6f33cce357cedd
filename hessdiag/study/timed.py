"""How long a compiled program takes, to compile and to run, and how much memory."""

import itertools
import time
from typing import Any, NamedTuple

import jax

from hessdiag.train.memory import program_bytes


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
    return Program(compiling, min(seconds), program_bytes(compiled))
