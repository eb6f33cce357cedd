"""The page in a real browser: nothing fetched, nothing hidden, nothing cut off."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = pytest.mark.browser

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        message = f"no browser: none of {', '.join(_NAMES)} is on the PATH"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        yield browser
        browser.close()


SCREENS = [
    (name, width, scheme)
    for name in ("mechanism", "snake-n5")
    for width, scheme in ((1400, "light"), (390, "dark"))
]


@pytest.fixture(params=SCREENS, ids=str)
def opened(
    browser: Browser, written: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Page, list[str], list[str]]]:
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


def test_nothing_is_fetched_and_nothing_complains(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    _, complaints, requests = opened
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


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


def test_the_first_picture_is_on_the_first_screen(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    box = opened[0].locator("figure svg:visible").first.bounding_box()
    assert box is not None
    assert box["y"] < 900
    wide = opened[0].evaluate("window.innerWidth") > 1000
    assert not wide or box["y"] + box["height"] < 900


def test_tabs_show_one_panel_at_a_time(opened: tuple[Page, list[str], list[str]]) -> None:
    tabs = opened[0].locator(".tabs label")
    for index in range(tabs.count()):
        tabs.nth(index).click()
        panels = opened[0].locator(".tabs .panels > svg")
        widths = [panels.nth(k).bounding_box()["width"] for k in range(panels.count())]  # pyright: ignore[reportOptionalSubscript]
        assert [width > 300 for width in widths] == [k == index for k in range(len(widths))]


def test_page_does_not_scroll_sideways(opened: tuple[Page, list[str], list[str]]) -> None:
    page = opened[0]
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true })")
    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]


def test_anchors_lead_somewhere(opened: tuple[Page, list[str], list[str]]) -> None:
    lost = opened[0].eval_on_selector_all(
        "a[href^='#']",
        "all => all.map(one => one.getAttribute('href')).filter(to => !document.querySelector(to))",
    )
    assert lost == []
