"""The page and its files, made from committed results."""

import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hessdiag.record.atomic import write_atomically
from hessdiag.report import write_report
from tests.report.conftest import committed

FETCHING = ("src", "href", "xlink:href", "srcset", "action", "data", "poster", "background")
WORDS = {"mechanism": 1000, "snake-n5": 700}


class Page(HTMLParser):
    """Ids, addresses, tags, and the words that stand outside what is folded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.words = 0
        self._hidden: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.addresses += [value for name, value in attrs if name in FETCHING and value]
        if tag in ("details", "svg", "style"):
            self._hidden.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden and tag == self._hidden[-1]:
            self._hidden.pop()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words += len(data.split())


@pytest.fixture(params=WORDS)
def made(request: pytest.FixtureRequest, written: Path) -> tuple[Path, Page]:
    """The directory and the page of a report."""
    folder = written / request.param
    return folder, Page((folder / "report.html").read_text(encoding="utf-8"))


def test_pages_are_short(made: tuple[Path, Page]) -> None:
    folder, page = made
    assert 150 < page.words <= WORDS[folder.name]
    assert 5 <= page.tags.count("figure") <= 7
    assert page.tags.count("h1") == 1
    assert page.tags.count("details") >= 5


def test_a_page_asks_for_nothing(made: tuple[Path, Page]) -> None:
    folder, page = made
    for address in page.addresses:
        assert address.startswith(("#", "figures/", "data:,")), address
    assert not {"script", "iframe", "img", "object", "embed"} & set(page.tags)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "@import" not in text
    assert "://" not in text


def test_anchors_and_links_resolve(made: tuple[Path, Page]) -> None:
    folder, page = made
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids
        elif address.startswith("figures/"):
            assert (folder / address).is_file()


def test_files_are_those_of_the_page(made: tuple[Path, Page]) -> None:
    folder, page = made
    linked = {address for address in page.addresses if address.startswith("figures/")}
    assert {f"figures/{path.name}" for path in (folder / "figures").iterdir()} == linked
    assert (folder / "tables" / "spread.csv").stat().st_size > 1000


def test_the_same_findings_make_the_same_page_and_stale_files_go(tmp_path: Path) -> None:
    directory = committed("fig4", tmp_path / "fig4")
    (directory / "figures").mkdir()
    (directory / "figures" / "gone.png").write_bytes(b"")

    def hashes() -> dict[str, str]:
        files = [path for path in directory.rglob("*") if path.is_file()]
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    write_report(directory)
    before = hashes()
    write_report(directory)
    assert hashes() == before
    assert "gone.png" not in before


def test_text_of_others_is_escaped(tmp_path: Path) -> None:
    directory = committed("fig4", tmp_path / "fig4")
    text = (directory / "results.json").read_text(encoding="utf-8")
    (directory / "results.json").write_text(
        re.sub(r"ten-state Markov", "<script>ten</script>", text), encoding="utf-8"
    )
    page = write_report(directory).read_text(encoding="utf-8")
    assert "&lt;script&gt;ten" in page
    assert "<script" not in page


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
