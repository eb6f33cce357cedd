import multiprocessing
import os

import pytest

from hessdiag.errors import UsageError
from hessdiag.record.lock import is_held, locked


def hold(path, held, done):
    with locked(path):
        held.set()
        done.wait(30)


def test_one_process_at_a_time(tmp_path):
    """And whoever is killed lets go."""
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, held, done))
    other.start()
    assert held.wait(30)
    with pytest.raises(UsageError, match=f"process {other.pid} on") as refused, locked(tmp_path):
        pass
    assert "\n" not in str(refused.value)
    assert is_held(tmp_path)
    other.kill()
    other.join()
    assert not is_held(tmp_path)
    with locked(tmp_path):
        assert f"process {os.getpid()}" in (tmp_path / ".lock").read_text()
    assert (tmp_path / ".lock").read_text() == ""


def test_a_directory_that_is_not_there_is_named(tmp_path):
    assert not is_held(tmp_path / "nothing")
    with pytest.raises(UsageError), locked(tmp_path / "nothing"):
        pass
