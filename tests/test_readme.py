"""What README tells people to type does what it says."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hessdiag.analysis import Findings, findings
from hessdiag.report import names
from hessdiag.report.numbers import factor, interval, plain, share
from hessdiag.report.select import column, cuts, paper_formula, rows, spread
from hessdiag.train.presets import resolve

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FINDINGS = README.partition("## What was found")[2].partition("## Two commands")[0]


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
    _, example = blocks("python")
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for words in ("smallest eigenvalue", "trace", "augmented", "Norm of the product"):
        assert words in done.stdout


LOOP = """
import hessdiag, jax, jax.numpy as jnp, optax
def inner_loss(params, eta, batch):
    return jnp.exp(eta) * jnp.mean((params - batch) ** 2)
def outer_loss(params, eta, batch):
    return jnp.mean((params - batch) ** 2)
def batches(key):
    return jax.random.normal(key, (8,))
optimiser = optax.adam(1e-2)
loop = dict(inner_loss=inner_loss, outer_loss=outer_loss, batches=batches, optimiser=optimiser)
loop["learning_rate"] = 1e-2
params, eta = jnp.ones(8), jnp.zeros(())
opt_state = optimiser.init(params)
"""


@pytest.mark.slow
def test_the_first_lines_of_python_run_in_a_loop():
    first, _ = blocks("python")
    done = subprocess.run([sys.executable, "-c", LOOP + first], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "own loop" in done.stdout


def test_the_first_screen_says_what_the_report_says():
    found = findings(ROOT / "reports/mechanism")
    expected = told(found, "optimiser=adam")
    first = README.partition("## What was found")[0]
    for name in (
        "noise of 5 steps over one",
        "without the Hessian path",
        "without the optimiser's memory",
    ):
        assert expected[name].partition("×")[0] in first
    assert expected["paper's formula predicts"].removesuffix("×") in first
    assert len(first.splitlines()) <= 35


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


def told(found: Findings, name: str) -> dict[str, str]:
    """What the table tells of one optimiser."""
    at = {"configuration": name, "when": "all"}
    end = rows(found, "final", configuration=name, series="return").iloc[0]
    left = cuts(found, name).set_index("cut")
    noise, mixed = (spread(found, name, estimator).iloc[-1] for estimator in ("n-step", "mix"))
    radius = rows(found, "curvature", operator="paper, I + H", **at)
    source = rows(found, "sources", source="validation trajectories", **at).iloc[0]
    return {
        "return at the end": plain(end["final"], digits=2),
        "noise of 5 steps over one": grown(noise),
        "without the Hessian path": grown(left.loc["no-hessian"]),
        "without unstable eigenvalues": grown(left.loc["stable-hessian"]),
        "without the optimiser's memory": grown(left.loc["no-memory"]),
        "average of the horizons (mix)": grown(mixed),
        "paper's formula predicts": factor(paper_formula(found, name)[1][-1]),
        "largest ρ(I + H) − 1": plain(column(radius, "largest")[0], digits=2),
        "variance from validation rollouts": share(*source[["share", "share_low", "share_high"]]),
    }


def grown(row) -> str:
    """A growth with its interval."""
    return f"{factor(row['growth'])} {interval(row['growth_low'], row['growth_high'])}"


def test_the_table_of_findings_is_that_of_the_report():
    found = findings(ROOT / "reports/mechanism")
    lines = [line for line in FINDINGS.splitlines() if line.startswith("|")]
    heading, _, *table = (tuple(map(str.strip, line.strip("|").split("|"))) for line in lines)
    assert heading[1:] == tuple(map(names.configuration, found.configurations))
    expected = [told(found, name) for name in found.configurations]
    assert [row[0] for row in table] == list(expected[0])
    for label, *cells in table:
        assert [cell.partition(" (paper")[0] for cell in cells] == [one[label] for one in expected]
    published = [cell for row in table for cell in row if "(paper" in cell]
    assert published == [
        "4.4 (paper 85)",
        "8.0× [6.5, 9.8] (paper 8.6 ± 2.1)",
        "1.8× [1.6, 2.0] (paper 2.6 ± 0.8)",
    ]
