import shutil
from functools import cache
from pathlib import Path

import pytest

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
