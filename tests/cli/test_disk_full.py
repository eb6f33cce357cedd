"""A disk that is full: one line that names the file, code 1, and the run goes on later."""

import errno
import os
from pathlib import Path

import pytest

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
@pytest.mark.parametrize("count", [2, 5, 9, 14, 17, 20])
def test_a_full_disk_is_one_line_and_loses_nothing(
    cli, whole, tmp_path, monkeypatch, full_after, count
):
    path = tmp_path / "run"
    with monkeypatch.context():
        full_after(count)
        done = cli(*TINY_RUN, "--out", path, "--quiet")
        monkeypatch.undo()
    assert_one_line(done, path)
    again = ("run", "--resume", path, "--quiet")
    assert cli(*(again if path.exists() else (*TINY_RUN, "--out", path))).code == 0
    assert_same_run(path, whole)


@pytest.mark.usefixtures("without_report")
def test_so_it_is_with_lines(cli, whole, tmp_path, monkeypatch):
    path, opened = tmp_path / "run", Path.open

    def open_file(self, mode="r", *more, **options):
        return no_space() if mode == "a" else opened(self, mode, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_file)
        done = cli(*TINY_RUN, "--out", path, "--quiet")
    assert_one_line(done, path)
    assert cli("run", "--resume", path, "--quiet").code == 0
    assert_same_run(path, whole)


def assert_one_line(done, path) -> None:
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert str(path.parent) in done.err
    assert os.strerror(errno.ENOSPC) in done.err
