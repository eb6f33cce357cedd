import json
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.arguments import TINY_RUN
from tests.train.driving import assert_same_run, resume


def _read_until(process: subprocess.Popen, wanted: Callable[[dict], bool]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if wanted(json.loads(line)):
            return
    raise AssertionError("the run ended before the event")


def _iteration(t: int) -> Callable[[dict], bool]:
    return lambda event: event["event"] == "iteration" and event["iteration"] == t


def _probing(done: int) -> Callable[[dict], bool]:
    return lambda event: event.get("phase") == "probing" and event["done"] == done


def _status(path: Path) -> str:
    return json.loads((path / "summary.json").read_text())["status"]


@pytest.mark.usefixtures("without_report")  # in this process, that of the resumed run
@pytest.mark.parametrize(
    ("number", "code", "when"),
    [(signal.SIGINT, 130, _iteration(1)), (signal.SIGTERM, 143, _probing(1))],
)
def test_a_stopped_run_says_how_to_go_on(cli, whole, tmp_path, spawn, number, code, when):
    path = tmp_path / "my run"
    process = spawn(*TINY_RUN, "--json", "--out", path)
    _read_until(process, when)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code
    said, command = err.split("; saved. Go on with: ")
    assert said == f"hessdiag: stopped by {number.name}"
    assert command.endswith("\n")
    assert _status(path) == "interrupted"
    assert (path / "report.html").is_file()
    assert list((path / "probes").iterdir()) == []

    done = cli(*shlex.split(command)[1:], "--quiet")
    assert done == (0, f"{path / 'report.html'}\n", "")
    assert_same_run(path, whole)
    assert _status(path) == "finished"


@pytest.mark.parametrize(
    ("when", "saved"),
    [
        (lambda event: event["event"] == "start", set()),
        (_iteration(0), set()),
        (_probing(0), {"3"}),
        (_probing(2), {"3"}),
        (_iteration(4), {"3"}),
    ],
    ids=["start", "first iteration", "probe", "inside a probe", "after the probe"],
)
def test_a_killed_run_goes_on_as_if_nothing_had_been(whole, tmp_path, spawn, when, saved):
    path = tmp_path / "run"
    process = spawn(*TINY_RUN, "--json", "--out", path)
    _read_until(process, when)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert {folder.name for folder in (path / "checkpoints").glob("*")} >= saved
    assert_same_run(resume(path), whole)
    assert _status(path) == "finished"
    assert not list(path.rglob("*.part"))
