"""What is free is the least of what the machine, its groups and the address space leave."""

import resource

import jax
import pytest

from hessdiag.train import free_memory as module
from hessdiag.train.free_memory import UNLIMITED, free_memory, of_address_space, of_system

MEMINFO = "MemTotal:  24000 kB\nMemFree:  1000 kB\nMemAvailable:  20000 kB\nHugePages_Total: 0\n"


@pytest.fixture
def system(tmp_path):
    """(files by path) → a root folder that has them."""

    def made(**files: str):
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/meminfo").write_text(MEMINFO)
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return made


def test_without_groups_it_is_what_the_system_has(system):
    assert [*of_system(system())] == [20_000 * 1024]


def test_where_nothing_is_said_nothing_is_known(tmp_path):
    assert [*of_system(tmp_path)] == []


def test_a_group_of_version_2_and_the_groups_around_it(system):
    """What files hold and nobody reads is given back; "max" is no limit."""
    root = system(
        proc__self__cgroup="0::/outer/inner\n",
        **{
            "sys__fs__cgroup__outer__memory.max": "1000",
            "sys__fs__cgroup__outer__memory.current": "900",
            "sys__fs__cgroup__outer__memory.stat": "anon 500\ninactive_file 300\n",
            "sys__fs__cgroup__outer__inner__memory.max": "max",
            "sys__fs__cgroup__outer__inner__memory.current": "900",
        },
    )
    assert [*of_system(root)][1:] == [400]


def test_a_group_of_version_1_whose_path_is_the_hosts(system):
    root = system(
        proc__self__cgroup="5:cpu:/x\n4:memory:/docker/abc\n0::/\n",
        **{
            "sys__fs__cgroup__memory__memory.limit_in_bytes": "5000",
            "sys__fs__cgroup__memory__memory.usage_in_bytes": "6000",
        },
    )
    assert [*of_system(root)][1:] == [0]
    limit = root / "sys/fs/cgroup/memory/memory.limit_in_bytes"
    limit.write_text("9223372036854771712")
    assert [*of_system(root)][1:] == []


def test_a_limited_address_space(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2**50, 2**50))
    (left,) = of_address_space()
    assert 2**49 < left < 2**50
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert [*of_address_space()] == []


def test_the_least_counts(monkeypatch):
    monkeypatch.setattr(module, "of_system", lambda: iter([300, 200]))
    monkeypatch.setattr(module, "of_address_space", lambda: iter([250]))
    assert free_memory(jax.devices("cpu")) == 200
    monkeypatch.setattr(module, "of_system", lambda: iter([]))
    monkeypatch.setattr(module, "of_address_space", lambda: iter([]))
    assert free_memory(jax.devices("cpu")) == UNLIMITED


class _Accelerator:
    platform = "gpu"

    def __init__(self, stats):
        self.memory_stats = lambda: stats


def test_an_accelerator_says_it_itself():
    assert free_memory([_Accelerator({"bytes_limit": 100, "bytes_in_use": 30})]) == 70
    assert free_memory([_Accelerator(None)]) == UNLIMITED


def test_of_several_the_fullest_counts_for_each():
    used = [_Accelerator({"bytes_limit": 100, "bytes_in_use": used}) for used in (30, 40)]
    assert free_memory(used) == 120
