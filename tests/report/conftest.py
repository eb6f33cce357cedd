import shutil
from functools import cache
from pathlib import Path

import pytest

from hessdiag.analysis import Findings, findings
from hessdiag.report import write_report

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


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study and a run whose reports are written; tests must not change them."""
    folder = tmp_path_factory.mktemp("report")
    for name in ("mechanism", "snake-n5"):
        write_report(committed(name, folder / name))
    return folder
