"""The page of a study and of a run: as text, and in a real browser."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from hessdiag.report import write_report
from tests.report.conftest import committed

FETCHING = ("src", "href", "xlink:href", "srcset", "action", "data", "poster", "background")
WORDS = {"mechanism": 1000, "across": 1000, "snake-n5": 700}


class Document(HTMLParser):
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


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study and a run whose reports are written; tests must not change them."""
    folder = tmp_path_factory.mktemp("report")
    for name in WORDS:
        write_report(committed(name, folder / name))
    return folder


@pytest.fixture(scope="module", params=WORDS)
def made(request: pytest.FixtureRequest, written: Path) -> tuple[Path, Document]:
    """The directory and the page of a report."""
    folder = written / request.param
    return folder, Document((folder / "report.html").read_text(encoding="utf-8"))


def test_pages_are_short(made: tuple[Path, Document]) -> None:
    folder, page = made
    assert 150 < page.words <= WORDS[folder.name]
    assert 5 <= page.tags.count("figure") <= 7
    assert page.tags.count("h1") == 1
    assert page.tags.count("details") >= 5


def test_a_page_asks_for_nothing(made: tuple[Path, Document]) -> None:
    folder, page = made
    for address in page.addresses:
        assert address.startswith(("#", "figures/", "data:,")), address
    assert not {"script", "iframe", "img", "object", "embed"} & set(page.tags)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "@import" not in text
    assert "://" not in text


def test_anchors_and_links_resolve(made: tuple[Path, Document]) -> None:
    folder, page = made
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids
        elif address.startswith("figures/"):
            assert (folder / address).is_file()


def test_files_are_those_of_the_page(made: tuple[Path, Document]) -> None:
    folder, page = made
    linked = {address for address in page.addresses if address.startswith("figures/")}
    assert {f"figures/{path.name}" for path in (folder / "figures").iterdir()} == linked
    assert (folder / "tables" / "spread.csv").stat().st_size > 1000


SCREENS = [
    (name, width, scheme)
    for name in ("mechanism", "snake-n5")
    for width, scheme in ((1400, "light"), (390, "dark"))
]


@pytest.fixture(scope="module", params=SCREENS, ids=str)
def opened(
    browser: Browser, written: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Page, list[str], list[str]]]:
    """A page in one window; the tests that click stand last."""
    name, width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: requests.append(asked.url))
    page.goto((written / name / "report.html").as_uri())
    yield page, complaints, requests
    context.close()


@pytest.mark.browser
def test_nothing_is_fetched_and_nothing_complains(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    _, complaints, requests = opened
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


@pytest.mark.browser
def test_every_figure_is_visible_and_its_words_are_large_enough(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    page = opened[0]
    figures = page.locator("figure")
    assert 5 <= figures.count() <= 7
    for index in range(figures.count()):
        drawn = figures.nth(index).locator("svg:visible")
        assert drawn.count() >= 1
        box = drawn.first.bounding_box()
        assert box is not None
        assert box["width"] > 300
        assert box["height"] > 100
    heights = page.eval_on_selector_all(
        "figure svg text",
        "all => all.map(one => one.getBoundingClientRect().height).filter(height => height > 0)",
    )
    assert len(heights) > 100
    assert min(heights) >= 9


@pytest.mark.browser
def test_the_first_picture_is_on_the_first_screen(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    box = opened[0].locator("figure svg:visible").first.bounding_box()
    assert box is not None
    assert box["y"] < 900
    wide = opened[0].evaluate("window.innerWidth") > 1000
    assert not wide or box["y"] + box["height"] < 900


@pytest.mark.browser
def test_anchors_lead_somewhere(opened: tuple[Page, list[str], list[str]]) -> None:
    lost = opened[0].eval_on_selector_all(
        "a[href^='#']",
        "all => all.map(one => one.getAttribute('href')).filter(to => !document.querySelector(to))",
    )
    assert lost == []


@pytest.mark.browser
def test_tabs_show_one_panel_at_a_time(opened: tuple[Page, list[str], list[str]]) -> None:
    tabs = opened[0].locator(".tabs label")
    for index in range(tabs.count()):
        tabs.nth(index).click()
        panels = opened[0].locator(".tabs .panels > svg")
        widths = [panels.nth(k).bounding_box()["width"] for k in range(panels.count())]  # pyright: ignore[reportOptionalSubscript]
        assert [width > 300 for width in widths] == [k == index for k in range(len(widths))]


@pytest.mark.browser
def test_page_does_not_scroll_sideways(opened: tuple[Page, list[str], list[str]]) -> None:
    page = opened[0]
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true })")
    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]
