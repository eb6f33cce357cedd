"""What README tells people to type does what it says."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hessdiag.report.studies import headline_table, load_study

from hessdiag.train.presets import resolve

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FINDINGS = README.partition("## Two commands")[0]

SAID = (
    "return at the end",
    "growth, n-step, n=5",
    "growth, mix, n=5",
    "largest ρ(I + H) − 1",
    "removed, no-hessian (%)",
    "removed, stable-hessian (%)",
    "removed, no-memory (%)",
    "from validation trajectories (%)",
    "from inner trajectories (%)",
)


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_two_commands_are_targets_of_the_makefile():
    commands = blocks("console")[0].split("\n")
    assert commands[:2] == ["make run", "make test"]
    for command in commands[:2]:
        plan = subprocess.run(
            [*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert ("hessdiag run --env snake --n 5" in plan) or ("pytest" in plan)


@pytest.mark.slow
def test_console_commands_run(tmp_path, users_environment):
    hessdiag = Path(sys.executable).with_name("hessdiag")
    ran = 0
    for line in blocks("console")[1].strip().splitlines():
        command = line.replace(".venv/bin/hessdiag", str(hessdiag))
        assert command != line
        done = subprocess.run(
            command.split(), cwd=tmp_path, capture_output=True, text=True, env=users_environment
        )
        assert done.returncode == 0, done.stderr
        ran += 1
    assert ran == 4
    assert (tmp_path / "my-run" / "report.html").stat().st_size > 100_000


def test_the_toml_example_is_accepted(tmp_path):
    (example,) = blocks("toml")
    file = tmp_path / "settings.toml"
    file.write_text(example)
    settings = resolve({}, file)
    assert settings.probe.samples == tomllib.loads(example)["probe"]["samples"]
    assert (settings.learning.optimiser, settings.learning.b2) == ("rmsprop", 0.99)


@pytest.mark.slow
def test_the_library_example_runs():
    (example,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for words in ("smallest eigenvalue", "trace", "augmented", "Norm of the product"):
        assert words in done.stdout


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md", "docs/conformance.md"])
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text())
    for link in links:
        assert "://" in link or ((ROOT / page).parent / link).exists(), link
    assert len(links) >= {"README.md": 6, "docs/guide.md": 4}.get(page, 0)


def test_presets_are_described_as_they_are():
    for name, iterations, points, samples in (
        ("smoke", 40, 3, 8),
        ("laptop", 200, 3, 16),
        ("paper", 100_000, 300, 96),
    ):
        settings = resolve({"preset": name})
        assert (settings.train.iterations, settings.probe.points, settings.probe.samples) == (
            iterations,
            points,
            samples,
        )
        assert f"{points} × {samples}" in README


def test_the_table_of_findings_is_that_of_the_report():
    table = headline_table(load_study(ROOT / "reports/mechanism"))
    lines = [line for line in FINDINGS.splitlines() if line.startswith("|")]
    heading, _, *rows = (tuple(map(str.strip, line.strip("|").split("|"))) for line in lines)
    assert heading == table.columns
    assert set(rows) <= set(table.rows)
    told = {row[0] for row in rows}
    published = {row[0] for row in table.rows if row[0].endswith("published")}
    assert {*SAID, *published} <= told, "what weighs against the rest is no less to be told"
