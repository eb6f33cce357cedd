import json
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hessdiag.cli import drive  # pyright: ignore[reportMissingImports]
from hessdiag.cli.display import make_display  # pyright: ignore[reportMissingImports]

from hessdiag.train.launch import start
from hessdiag.train.presets import resolve
from tests.cli.arguments import TINY_RUN
from tests.train.driving import TINY, SignalAt, assert_same_run, resume


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
def test_a_stopped_run_says_how_to_go_on(cli, whole, tmp_path, spawn):
    path = tmp_path / "my run"
    process = spawn(*TINY_RUN, "--json", "--out", path)
    _read_until(process, _iteration(1))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    _assert_stopped(path, process.returncode, err, signal.SIGINT)
    command = err.partition("Go on with: ")[2]
    done = cli(*shlex.split(command)[1:], "--quiet")
    assert done == (0, f"{path / 'report.html'}\n", "")
    assert_same_run(path, whole)
    assert _status(path) == "finished"


@pytest.mark.usefixtures("without_report")
def test_a_run_terminated_inside_a_probe_leaves_none_of_it(cli, tmp_path, monkeypatch):
    """It is its own process that asks for it."""
    display = make_display(quiet=False, as_json=True)
    display.on_phase = SignalAt(signal.SIGTERM, "probing", 1).on_phase
    monkeypatch.setattr(drive, "make_display", lambda **_: display)
    done = cli(*TINY_RUN, "--out", tmp_path / "run")
    _assert_stopped(tmp_path / "run", done.code, done.err, signal.SIGTERM)


def _assert_stopped(path: Path, code: object, err: str, number: signal.Signals) -> None:
    assert code == 128 + number
    assert err.startswith(f"hessdiag: stopped by {number.name}; saved. Go on with: hessdiag run ")
    assert err.count("\n") == 1
    assert _status(path) == "interrupted"
    assert (path / "report.html").is_file()
    assert list((path / "probes").iterdir()) == []


@pytest.mark.parametrize(
    ("when", "saved"),
    [(_iteration(0), set()), (_probing(2), {"3"}), (_iteration(4), {"3"})],
    ids=["first iteration", "inside a probe", "after the probe"],
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


def test_a_run_killed_before_it_compiled_goes_on(whole, tmp_path):
    start(resolve(TINY), tmp_path / "run", command="hessdiag run")
    assert_same_run(resume(tmp_path / "run"), whole)


def test_ctrl_c_ends_a_command_that_has_only_begun(tmp_path, spawn):
    """While JAX is imported, exceptions are lost."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # else it may be ignored
    processes = [spawn(*TINY_RUN, "--out", tmp_path / f"{number}") for number in range(6)]
    signal.signal(signal.SIGINT, before)
    time.sleep(0.4)
    for process in processes:
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 128 + signal.SIGINT
        assert "Traceback" not in err
