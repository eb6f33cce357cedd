"""A disk that is full: one line that names the file, code 1, and the run goes on later."""

import errno
import os

import pytest

from hessdiag.record.run_directory import RunDirectory
from tests.cli.arguments import TINY_RUN
from tests.train.driving import assert_same_run


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def full_after(monkeypatch):
    """Nothing is synced any longer after so many times."""

    def fill(count: int) -> None:
        sync, left = os.fsync, [count]

        def fsync(file: int) -> None:
            left[0] -= 1
            sync(file) if left[0] >= 0 else no_space()

        monkeypatch.setattr(os, "fsync", fsync)

    return fill


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize("count", [2, 9, 14, 17, 20, 23])
def test_a_full_disk_is_one_line_and_loses_nothing(
    cli, whole, tmp_path, monkeypatch, full_after, count
):
    path = tmp_path / "run"
    with monkeypatch.context():
        full_after(count)
        done = cli(*TINY_RUN, "--out", path, "--quiet")
        monkeypatch.undo()
    assert_one_line(done, path)
    assert cli("run", "--resume", path, "--quiet").code == 0
    assert_same_run(path, whole)


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize("method", ["append_line", "write_probe"])
def test_so_it_is_with_lines_and_probes(cli, whole, tmp_path, monkeypatch, method):
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(f"hessdiag.record.run_directory.{_writer(method)}", no_space, raising=False)
        done = cli(*TINY_RUN, "--out", path, "--quiet")
    assert_one_line(done, path)
    assert cli("run", "--resume", path, "--quiet").code == 0
    assert_same_run(path, whole)


def _writer(method: str) -> str:
    return {"append_line": "open", "write_probe": "write_atomically"}[method]


def assert_one_line(done, path) -> None:
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert str(path) in done.err
    assert os.strerror(errno.ENOSPC) in done.err
    assert RunDirectory(path).path.is_dir()
