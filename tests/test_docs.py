"""Pages of the documentation: their Python runs, their commands parse, their links lead somewhere.

A page is run as one script from top to bottom, in an empty folder that has `reports` beside it,
with `docs/examples` on the path. No block is left out.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from hessdiag.cli.main import hessdiag as command_line  # pyright: ignore[reportMissingImports]

import hessdiag
from hessdiag.bias import plan as bias
from hessdiag.bias.plan import BIAS_STUDIES
from hessdiag.study.grid import planned
from hessdiag.train.settings import DECLARED

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
NOTEBOOKS = sorted(DOCS.glob("notebooks/*.md"))  # the site's build runs them
SLOW = ("guide", "theory", "your-loop")
WITHOUT_JAX = ("reading-results", "studies")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of some languages, as they stand."""
    fence = rf"^```(?:{'|'.join(languages)})\n(.*?)^```$"
    return re.findall(fence, page.read_text(), flags=re.DOTALL | re.MULTILINE)


def script(page: Path) -> str:
    """The Python of a page, each line where it stands on the page, so that errors name it."""
    inside, lines = False, []
    for line in page.read_text().splitlines():
        inside = line == "```python" or (inside and line != "```")
        lines.append(line if inside and line != "```python" else "")
    return "\n".join(lines)


def ids(page: Path) -> str:
    return page.stem


RUNS = [
    pytest.param(page, id=page.stem, marks=[pytest.mark.slow] if page.stem in SLOW else [])
    for page in PAGES
    if blocks(page, "python")
]


@pytest.mark.parametrize("page", RUNS)
def test_python_runs(page, tmp_path):
    (tmp_path / "reports").symlink_to(ROOT / "reports")
    code = script(page)
    if page.stem in WITHOUT_JAX:
        code += "\nimport sys\nassert 'jax' not in sys.modules"
    file = tmp_path / f"{page.stem.replace('-', '_')}_page.py"
    file.write_text(code)
    done = subprocess.run(
        [sys.executable, file.name],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(DOCS / "examples")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    if page.stem == "reading-results":
        assert done.stdout.count("\n") > 40


def test_no_block_of_python_is_hidden_from_the_test():
    """By another way to write its fence."""
    fence = r"^ *(?:```+|~~~+) *\{?(?:python|py)\b.*$"
    for page in PAGES:
        fences = re.findall(fence, page.read_text(), re.MULTILINE)
        assert len(fences) == len(blocks(page, "python")), page.name


def commands(page: Path) -> list[str]:
    """What a page tells people to type."""
    lines = "\n".join(blocks(page, "console", "sh")).replace("\\\n", " ").splitlines()
    return [line for line in map(str.strip, lines) if line]


SHOWN = [(page, line) for page in (ROOT / "README.md", *PAGES) for line in commands(page)]


@pytest.mark.parametrize(("page", "line"), SHOWN, ids=lambda value: getattr(value, "stem", value))
def test_commands_parse(page, line):
    """Flags exist and take such values; targets, files and extras exist."""
    del page
    name, *words = shlex.split(line)
    if name.endswith("hessdiag"):
        parse(*words)
    elif name == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[0] in targets
    elif name == "pip":
        assert words[0] == "install"
        for extra in re.findall(r"^\.\[(\w+)\]$", words[1]):
            assert extra in PROJECT["optional-dependencies"]
    elif words[0] == "-m":
        module = ROOT / words[1].replace(".", "/")
        file = module / "__main__.py" if module.is_dir() else module.with_suffix(".py")
        source = file.read_text()
        assert all(f'"{flag}"' in source for flag in words[2:] if flag.startswith("--"))
    elif name in ("python", "cd"):
        assert (ROOT / words[0]).exists()
    else:
        pytest.fail(f"{name}: a command that this test does not know")


def parse(name: str, *words: str) -> None:
    """Parse a command of `hessdiag` as the command line does; settings it names exist."""
    if name == "--version":
        return
    command = command_line.commands[name]
    given = command.make_context(name, list(words)).params
    assigned = [*given.get("assignments", ()), *given.get("vary", ())]
    for key in (text.partition("=")[0] for text in assigned):
        assert key in DECLARED or key.startswith("problem."), key
    if name == "study" and given["name"] in BIAS_STUDIES:
        assert bias.planned(bias.shipped(given["name"])).points()
    elif name == "study" and given["name"]:
        assert planned(given["name"], None, {}, {}).cells()


def test_a_flag_that_does_not_exist_is_noticed():
    with pytest.raises(click.NoSuchOption):
        parse("study", "--seeds", "0:3")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "toml")], ids=ids)
def test_settings_are_accepted(page, tmp_path):
    for block in blocks(page, "toml"):
        file = tmp_path / "study.toml"
        file.write_text(block)
        assert planned(None, file, {}, {}).cells()


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=ids)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text()
    pages = [page.relative_to(ROOT).as_posix() for page in (*PAGES, *NOTEBOOKS)]
    assert [page for page in pages if f"({page})" not in readme] == []


def test_the_reference_has_every_public_name():
    reference = (DOCS / "api.md").read_text()
    assert [name for name in hessdiag.__all__ if f"hessdiag.{name}" not in reference] == []
