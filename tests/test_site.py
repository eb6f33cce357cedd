"""The site of the documentation, built as `make docs` does."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTEBOOK = "notebooks/tour"
REFERS = ("href", "src", "srcset", "poster", "data")

pytestmark = pytest.mark.slow


class Built(NamedTuple):
    """A build: where it is, and what it said."""

    folder: Path
    code: int
    said: str

    def pages(self) -> dict[Path, "Page"]:
        return {file: Page.of(file) for file in sorted(self.folder.rglob("*.html"))}


class Page(HTMLParser):
    """What a page is linked by, links to and loads."""

    def __init__(self):
        super().__init__()
        self.names: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()

    @classmethod
    def of(cls, file: Path) -> "Page":
        page = cls()
        page.feed(file.read_text())
        return page

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        referred = {given[name] for name in REFERS if name in given}
        if tag in ("a", "area"):
            self.links |= referred
        else:
            self.loads |= referred


@pytest.fixture(scope="module")
def site(made_once) -> Built:
    def build(where: Path) -> None:
        where.mkdir()
        options = ["-b", "html", "-W", "--keep-going", "-q", "-d", str(where / "doctrees")]
        command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(where / "html")]
        done = subprocess.run(command, capture_output=True, text=True)
        (where / "said").write_text(f"{done.returncode}\n{done.stdout}{done.stderr}")

    where = made_once("site", build)
    code, _, said = (where / "said").read_text().partition("\n")
    return Built(where / "html", int(code), said)


def test_it_builds_without_a_warning(site):
    assert site.code == 0, site.said
    for page in (*DOCS.glob("*.md"), *DOCS.glob("notebooks/*.md")):
        assert (site.folder / page.relative_to(DOCS).with_suffix(".html")).is_file()


def test_every_link_inside_has_a_target(site):
    pages, broken = site.pages(), []
    for file, page in pages.items():
        for link in page.links | page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            named = pages[target].names if target in pages else set()
            is_there = target.is_file() and (not parts.fragment or parts.fragment in named)
            if not is_there:
                broken.append(f"{file.relative_to(site.folder)}: {link}")
    assert broken == []
    assert len(pages) > 15


def test_nothing_is_loaded_from_elsewhere(site):
    for file, page in site.pages().items():
        for link in page.loads:
            assert urlsplit(link).scheme in ("", "data"), f"{file.name}: {link}"
            assert not link.startswith("//"), f"{file.name}: {link}"
    for sheet in site.folder.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text())


def test_the_notebook_ran(site):
    text = (site.folder / f"{NOTEBOOK}.html").read_text()
    cells = (DOCS / f"{NOTEBOOK}.md").read_text().count("```{code-cell}")
    assert text.count('class="cell_output ') == cells >= 8
    assert "Traceback" not in text
    assert "output stderr" not in text
    assert text.count("<img ") >= 3  # two figures, and what a diagnosis shows of itself


def test_formulas_need_no_script(site):
    page = site.folder / "theory.html"
    assert page.read_text().count("<math") > 50
    assert not [link for link in Page.of(page).loads if "mathjax" in link.lower()]
