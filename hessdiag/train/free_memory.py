"""How much memory is free, as the device or the system says it."""

import resource
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

UNLIMITED = 2**60  # bytes; control groups of version 1 without a limit say a little less than 2^63


def free_memory(devices: Sequence[Any] = ()) -> int:
    """Bytes that this process may still take on some devices, by default on all that are local.

    Of the CPU: what the system has, and what its control groups and its address space leave. Of
    accelerators: what the fullest has left, times their number, for they share the work. Where
    nobody says anything, `UNLIMITED`.
    """
    devices = devices or jax.local_devices()
    if devices[0].platform == "cpu":
        return min([UNLIMITED, *of_system(), *of_address_space()])
    return min(UNLIMITED, len(devices) * min(map(_left_on, devices)))


def _left_on(device: Any) -> int:
    stats = device.memory_stats() or {}
    limit = stats.get("bytes_limit", UNLIMITED)
    return max(0, limit - stats.get("bytes_in_use", 0))


def of_system(root: Path = Path("/")) -> Iterator[int]:
    """What Linux says below `root`: one number each, of the machine and of every group."""
    for name, number in _table(root / "proc/meminfo", ":"):
        if name == "MemAvailable":
            yield number * 1024
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            files = ("memory.max", "memory.current", "inactive_file")
            top = root / "sys/fs/cgroup"
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            top = root / "sys/fs/cgroup/memory"
        else:
            continue
        group = top / path.lstrip("/")  # inside a container the path may be the host's
        for folder in (group, *group.parents):
            if folder.is_relative_to(top):
                yield from _left(folder, *files)


def _left(group: Path, most: str, used: str, inactive: str) -> Iterator[int]:
    """What a group may still take; the files that it has read are given back when needed."""
    limit, usage = _text(group / most).strip(), _text(group / used).strip()
    if limit.isdigit() and usage.isdigit() and int(limit) < UNLIMITED:
        kept = sum(n for name, n in _table(group / "memory.stat") if name == inactive)
        yield max(0, int(limit) - int(usage) + kept)


def of_address_space() -> Iterator[int]:
    """What `ulimit -v` leaves, if there is such a limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _text(Path("/proc/self/statm")).split()
    if limit != resource.RLIM_INFINITY and pages:
        yield max(0, limit - int(pages[0]) * resource.getpagesize())


def _table(file: Path, end: str = "") -> Iterator[tuple[str, int]]:
    """Lines of a name and a number."""
    for line in _text(file).splitlines():
        name, number, *_ = line.split()
        yield name.removesuffix(end), int(number)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # another system, or another version of it
        return ""
