"""The files of a report, made from committed results."""

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from hessdiag.record.atomic import write_atomically
from hessdiag.report import write_report
from hessdiag.report.page import page
from tests.report.conftest import committed, found_in


def test_the_same_findings_make_the_same_page_and_stale_files_go(tmp_path: Path) -> None:
    directory = committed("fig4", tmp_path / "fig4")
    (directory / "figures").mkdir()
    (directory / "figures" / "gone.png").write_bytes(b"")
    (directory / "tables").mkdir()
    killed = [
        directory / name for name in (".report.html.4194305.tmp", "tables/.x.csv.4194305.tmp")
    ]
    for file in killed:  # by a process whose number no system gives
        file.write_bytes(b"half")

    def hashes() -> dict[str, str]:
        files = [path for path in directory.rglob("*") if path.is_file()]
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    write_report(directory)
    before = hashes()
    write_report(directory)
    assert hashes() == before
    assert "gone.png" not in before
    assert not any(file.exists() for file in killed)


def test_text_of_others_is_escaped() -> None:
    about = {**found_in("fig4").about, "summary": "<script>ten</script> states"}
    text = page(dataclasses.replace(found_in("fig4"), about=about), drawn=[])
    assert "&lt;script&gt;ten" in text
    assert "<script" not in text


def test_failed_write_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_reports_import_no_jax_and_the_terminal_no_matplotlib() -> None:
    code = (
        "import sys; import hessdiag.report.terminal; "
        "print([m for m in ('jax', 'jaxlib', 'flax', 'matplotlib') if m in sys.modules]); "
        "import hessdiag.report.write; "
        "print([m for m in ('jax', 'jaxlib', 'flax') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == ["[]", "[]"]
