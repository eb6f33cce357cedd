"""What is installed from a wheel, without the source tree."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the wheel in it and nothing else."""
    where = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(where)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", *options, str(ROOT)], check=True, capture_output=True)
    (wheel,) = where.glob("hessdiag-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(where / "site")
    return where / "site"


def python(site: Path, *arguments: str) -> str:
    """What Python prints that finds the wheel first, away from the source tree."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=site.parent,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_says_that_it_is_typed(site):
    assert (site / "hessdiag" / "py.typed").exists()


def test_it_has_the_command_and_its_own_modules(site):
    where = python(
        site, "-c", "import hessdiag.cli as c, hessdiag as h; print(h.__file__, c.__file__)"
    )
    assert all(Path(file).is_relative_to(site) for file in where.split())


def test_every_module_is_in_it(site):
    source = {file.relative_to(ROOT) for file in (ROOT / "hessdiag").rglob("*.py")}
    source |= {Path("hessdiag") / file.relative_to(ROOT) for file in (ROOT / "cli").rglob("*.py")}
    assert source == {file.relative_to(site) for file in site.rglob("*.py")}


def test_a_report_is_made_by_it(site, recorded_run, tmp_path):
    """Templates, styles and settings are in it, too."""
    run = tmp_path / "run"
    shutil.copytree(recorded_run, run)
    report = python(site, "-c", "from hessdiag.cli.main import main; main()", "report", str(run))
    assert Path(report).stat().st_size > 100_000
