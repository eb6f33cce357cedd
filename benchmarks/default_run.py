"""The default command: wall time, peak memory, and what a second start of it compiles.

With an argument, the run directory is kept there.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import save

COMMAND = [str(Path(sys.executable).with_name("hessdiag")), "run", "--env", "snake", "--n", "5"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)}
        kept = sys.argv[1] if len(sys.argv) > 1 else str(Path(folder) / "first")
        began = time.perf_counter()
        first = [*COMMAND, "--quiet", "--out", kept]
        subprocess.run(first, env=environment, check=True)
        wall = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        compiled = programs(cache)
        second = [*COMMAND, "--json", "--out", str(Path(folder) / "second")]
        stop_after_first_probe(second, environment)
        again = programs(cache) - compiled
    rows = [
        ("default run: wall time", wall, "s", "about 300 at most"),
        ("default run: peak memory", peak, "GiB", "< 3"),
        ("programs compiled by the first start", len(compiled), "", ""),
        ("programs compiled by a second start, to the first probe's end", len(again), "", "0"),
    ]
    save(
        "default_run",
        "python -m benchmarks.default_run",
        [dict(zip(("what", "value", "unit", "goal"), row, strict=True)) for row in rows],
    )


def programs(cache: Path) -> set[str]:
    """The compiled programs in a persistent cache."""
    return {file.name for file in cache.iterdir() if not file.name.endswith("-atime")}


def stop_after_first_probe(command: list[str], environment: dict[str, str]) -> None:
    """Run until a probe is done: by then every program of the command was needed."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if json.loads(line)["event"] == "probe":
                run.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
