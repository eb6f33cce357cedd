"""Which Python `make` takes: the first that works, wherever it is."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "find-python"
WORKS = f'exec "{sys.executable}" "$@"'
FAILS = "echo shim: not selected; exit 127"
TOO_OLD = f'''shift; exec "{sys.executable}" -c "import sys; sys.version_info = (3, 11); $1"'''


def executable(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def find(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the script says where `folder` is all that there is."""
    environment = {"PATH": str(folder / "bin"), "PYENV_ROOT": str(folder / "py env")}
    command = ["/bin/sh", str(SCRIPT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("body", [FAILS, TOO_OLD])
def test_what_does_not_work_is_passed_over(tmp_path, body):
    executable(tmp_path / "bin/python3.14", body)
    wanted = executable(tmp_path / "bin/python3", WORKS)
    assert find(tmp_path).stdout == f"{wanted}\n"


def test_what_pyenv_has_installed_and_not_selected_is_found(tmp_path):
    for name in ("python3.14", "python3.13", "python3.12", "python3"):
        executable(tmp_path / "bin" / name, FAILS)
    executable(tmp_path / "py env/versions/3.9.1/bin/python3.9", WORKS)
    executable(tmp_path / "py env/versions/3.12.1/bin/python3.12", TOO_OLD)
    wanted = executable(tmp_path / "py env/versions/3.13.0/bin/python3.13", WORKS)
    assert find(tmp_path).stdout == f"{wanted}\n"


def test_one_that_is_named_is_taken_before_all_others(tmp_path):
    executable(tmp_path / "bin/python3.13", WORKS)
    wanted = executable(tmp_path / "my python", WORKS)
    assert find(tmp_path, str(wanted)).stdout == f"{wanted}\n"
    assert find(tmp_path, "").stdout == f"{tmp_path / 'bin/python3.13'}\n"


@pytest.mark.parametrize("arguments", [(), ("python3.13",)])
def test_where_there_is_none_one_line_says_what_is_missing(tmp_path, arguments):
    executable(tmp_path / "bin/python3.13", FAILS)
    done = find(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "3.12 or newer" in done.stderr
