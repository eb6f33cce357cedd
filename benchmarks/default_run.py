"""The default command, twice: wall time, peak memory, and what the second start compiles."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import save


def main() -> None:
    hessdiag = Path(sys.executable).with_name("hessdiag")
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)}
        rows, compiled = [], set()
        for attempt in ("first", "second"):
            command = [str(hessdiag), "run", "--quiet", "--out", str(Path(folder) / attempt)]
            began = time.perf_counter()
            subprocess.run(command, env=environment, check=True)
            rows.append(
                {
                    "what": f"default run, {attempt} start: wall time",
                    "value": time.perf_counter() - began,
                    "unit": "s",
                    "goal": "about 300 at most",
                }
            )
            programs = {file.name for file in cache.iterdir() if not file.name.endswith("-atime")}
            rows.append(
                {
                    "what": f"default run, {attempt} start: programs compiled",
                    "value": len(programs - compiled),
                    "unit": "",
                    "goal": "0" if compiled else "",
                }
            )
            compiled |= programs
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        rows.append(
            {"what": "default run: peak memory", "value": peak, "unit": "GiB", "goal": "< 3"}
        )
        save("default_run", "python -m benchmarks.default_run", rows)


if __name__ == "__main__":
    main()
