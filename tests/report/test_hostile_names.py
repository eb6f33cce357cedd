"""What a stranger's files are called is shown, and obeyed neither by browsers nor by terminals."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hessdiag.analysis import findings
from hessdiag.errors import printable
from hessdiag.record.digests import sealed
from hessdiag.report import write_report
from hessdiag.report.terminal import as_json, first_screen, full

REPORTS = Path(__file__).parents[2] / "reports"
SCRIPT = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>$\\frac$ [red]\x1b]0;x\x07\x9b31m\u202e"
)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


class Tags(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.tags, self.handlers = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.handlers |= {name for name, _ in attrs if name.startswith("on")}


def every_text(value, key=""):
    """A document with every text in it made hostile, but for those that say what is what."""
    if isinstance(value, dict):
        return {name: every_text(entry, name) for name, entry in value.items()}
    if isinstance(value, list):
        return [every_text(entry, key) for entry in value]
    hostile = isinstance(value, str) and key in HOSTILE
    return f"{value}{SCRIPT}" if hostile else value


HOSTILE = {"description", "group", "command", "our_choices", "message", "headline", "name"}
HOSTILE |= {
    "followed",
    "summary",
    "choices",
    "device",
    "platform",
    "configuration",
    "cell",
    "git_revision",
}


@pytest.fixture(params=["snake-n5", "fig4"])
def hostile(request, tmp_path) -> Path:
    path = Path(shutil.copytree(REPORTS / request.param, tmp_path / "report"))
    for name in ("config.json", "summary.json", "study.json", "results.json"):
        file = path / name
        if file.exists():
            document = json.loads(file.read_text())
            if "configurations" in document:
                document["configurations"] = [n + SCRIPT for n in document["configurations"]]
            file.write_text(json.dumps(sealed(every_text(document))))
    return path


@pytest.mark.filterwarnings("ignore:Glyph")  # the font has none for control characters
def test_a_page_has_no_script(hostile):
    text = write_report(hostile).read_text(encoding="utf-8")
    found = Tags(text)
    assert "&lt;script&gt;" in text
    assert not {"script", "img", "iframe"} & found.tags
    assert found.handlers == set()
    for file in (*hostile.glob("figures/*.svg"), hostile / "report.html"):
        assert CONTROL.search(file.read_text(encoding="utf-8")) is None


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore:Glyph")
def test_a_browser_runs_nothing_and_asks_nobody(browser, hostile):
    """All that is folded is opened, and everything that can be clicked is clicked."""
    page = browser.new_page()
    happened: list[str] = []
    page.on("dialog", lambda dialog: (happened.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: happened.append(message.text))
    page.on("pageerror", lambda error: happened.append(str(error)))
    page.on("request", lambda asked: happened.append(asked.url))
    address = write_report(hostile).as_uri()
    page.goto(address)
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true })")
    page.eval_on_selector_all("label, summary", "all => all.forEach(one => one.click())")
    page.wait_for_timeout(200)
    assert happened == [address]
    assert page.locator("script, img, iframe").count() == 0
    assert "<script>alert(1)</script>" in page.inner_text("body")
    page.close()


def test_a_terminal_gets_no_orders(hostile):
    outcome = findings(hostile)
    for line in (*first_screen(outcome), *full(outcome), as_json(outcome)):
        assert "\x1b" not in line
    assert not any(map(CONTROL.search, (*first_screen(outcome), *full(outcome))))


def test_what_is_plain_stays():
    assert printable("é → η\n\tx") == "é → η\n\tx"
    assert printable("\x1b[2J\ud800") == "\ufffd[2J\ufffd"
