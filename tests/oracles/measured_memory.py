"""What a run takes of the memory, as the system counts it, beside what a tiny one takes.

    python -m tests.oracles.measured_memory DIRECTORY SETTINGS

SETTINGS are JSON, by dotted key. Printed are two numbers of bytes: what was expected, and the most
that was resident beside what a tiny run of the same problem had made resident.
"""

import json
import sys
from pathlib import Path

from hessdiag.train.memory import PROCESS, needed
from hessdiag.train.presets import resolve
from tests.train.driving import TINY, fresh


def _resident() -> int:
    """The most so far of this program; `getrusage` begins with what its parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    directory, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    fresh(directory / "tiny", TINY)
    before = _resident()
    expected = needed(resolve(settings))
    fresh(directory / "run", settings)
    sys.stdout.write(f"{expected - PROCESS} {_resident() - before}\n")
