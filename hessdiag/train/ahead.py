"""Programs compiled in a thread of their own, while other work goes on."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import jax
from jax.stages import Lowered


@contextlib.contextmanager
def compiled_ahead(programs: Iterable[Lowered]) -> Iterator[Callable[[], object]]:
    """Compile programs meanwhile: whoever calls them later finds them compiled.

    One that cannot be compiled says so where it is called.

    Yields:
        What waits for all of them. Outside the context no more are compiled.
    """
    wanted, double = True, bool(jax.config.jax_enable_x64)

    def compile_all() -> None:
        with jax.enable_x64(double):  # a setting of each thread
            for program in programs:
                if not wanted:
                    return
                program.compile()

    pool = ThreadPoolExecutor(max_workers=1)
    done = pool.submit(compile_all)
    try:
        yield lambda: wait([done])
    finally:
        wanted = False
        pool.shutdown()
