import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from hessdiag.analysis import Findings, findings

REPORTS = Path(__file__).parents[2] / "reports"


def committed(name: str, into: Path) -> Path:
    """The results of a committed report, without its page."""
    made = ("report.html", "figures", "tables")
    return Path(shutil.copytree(REPORTS / name, into, ignore=shutil.ignore_patterns(*made)))


@cache
def found_in(name: str) -> Findings:
    """What a committed report is made from; read once, for verdicts take seconds."""
    return findings(REPORTS / name)


@pytest.fixture(scope="session")
def found() -> Findings:
    """What the study of four optimisers on Snake found."""
    return found_in("mechanism")


@pytest.fixture(scope="session")
def run() -> Findings:
    """What the committed run on Snake found."""
    return found_in("snake-n5")


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
