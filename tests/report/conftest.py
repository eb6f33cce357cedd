import shutil
from pathlib import Path

import pytest

from hessdiag.report import write_report
from tests.oracles.run_directory import make_run_directory


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run_directory(tmp_path_factory.mktemp("made") / "run", n=3, probes=3, logged=40)


@pytest.fixture
def run_directory(_made: Path, tmp_path: Path) -> Path:
    """A run of the test's own, to be damaged."""
    return Path(shutil.copytree(_made, tmp_path / "run"))


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose report is written; tests must not change it."""
    directory = make_run_directory(tmp_path_factory.mktemp("report") / "run", n=5, probes=4)
    write_report(directory)
    return directory
