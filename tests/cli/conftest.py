import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hessdiag.cli import drive, workers  # pyright: ignore[reportMissingImports]
from hessdiag.cli.main import main  # pyright: ignore[reportMissingImports]

from tests.train.compilation_cache import compilation_cache
from tests.train.driving import TINY, fresh
from tests.train.shared_programs import shared_programs

__all__ = ["compilation_cache", "shared_programs"]

SCRIPT = Path(sys.executable).with_name("hessdiag")


class Done(NamedTuple):
    """What a command left behind."""

    code: int | str | None
    out: str
    err: str


Cli = Callable[..., Done]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The installed command's entry point, called in this process."""

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["hessdiag", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return Done(left.value.code, str(printed.out), str(printed.err))

    return call


@pytest.fixture
def spawn():
    """The installed command as a process of its own, with its output to read."""
    started = []

    def call(*arguments: object, **more) -> subprocess.Popen:
        process = subprocess.Popen(
            [str(SCRIPT), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that nothing interrupted, without a report; tests must not change it."""
    return fresh(tmp_path_factory.mktemp("whole") / "run", TINY)


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of studies run in this process, which shares what it compiles, unless it is said."""
    monkeypatch.setattr(workers, "_processes", lambda: 1)


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are an empty page, for tests of what is printed: figures take seconds."""

    def write(path: Path) -> Path:
        (path / "report.html").write_text("")
        return path / "report.html"

    monkeypatch.setattr(drive, "write_report", write)
