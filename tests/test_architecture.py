"""The house's one rule: arrows run downward only."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_MACHINERY = {"meta", "inner", "problems", "rl", "spectra"}
_TRAINING = _MACHINERY | {"probes", "train", "study", "statistics", "record"}
LEAVES = {"errors", "declared", "devices", "learning", "cores"}  # of no part, which all may import
BELOW = {  # what each part may import besides itself and those
    "rl": set(),
    "spectra": set(),
    "statistics": set(),
    "record": set(),
    "problems": {"rl"},
    "inner": {"problems", "rl", "spectra"},
    "meta": _MACHINERY | {"statistics"},
    "probes": _MACHINERY | {"statistics", "record"},
    "train": _TRAINING - {"study"},
    "study": _TRAINING,
    "bias": _TRAINING,
    "analysis": {"record", "statistics"},
    "report": {"analysis", "record", "statistics"},
    "api": _TRAINING | {"analysis", "report"},
    "cli": _TRAINING | {"analysis", "report", "api", "bias"},
}
FILES = {part: sorted((ROOT / "hessdiag" / part).rglob("*.py")) for part in BELOW if part != "cli"}
FILES["cli"] = sorted((ROOT / "cli").rglob("*.py"))


def imported(file: Path) -> set[str]:
    """The modules that a file imports absolutely, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("part", BELOW)
def test_arrows_run_downward(part):
    assert FILES[part]
    allowed = BELOW[part] | LEAVES | {part}
    for file in FILES[part]:
        ours = {name.split(".")[1] for name in imported(file) if name.startswith("hessdiag.")}
        assert ours <= allowed, f"{file.name} imports {ours - allowed}"


@pytest.mark.parametrize("part", ["record", "statistics", "analysis", "report"])
def test_what_reads_records_imports_no_jax(part):
    for file in FILES[part]:
        assert not any(name.split(".")[0] in ("jax", "jaxlib") for name in imported(file))


def test_every_folder_is_in_the_rule_and_in_the_package():
    folders = {file.parent.name for file in (ROOT / "hessdiag").glob("*/__init__.py")}
    assert folders | {"cli"} == set(BELOW)
    packages = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for file in (ROOT / "hessdiag").rglob("__init__.py")
    }
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "packages"
    ]
    assert set(declared) == packages | {"hessdiag.cli"}


def test_every_part_has_tests():
    assert all(list((ROOT / "tests" / part).glob("test_*.py")) for part in BELOW)


EVERY = [file for files in FILES.values() for file in files]


def test_no_file_is_long():
    """300 lines at the most."""
    lengths = {file.name: len(file.read_text().splitlines()) for file in EVERY}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_no_function_is_long():
    """50 lines at the most, without its docstring."""
    long = {}
    for file in EVERY:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                doc = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
                length = (node.end_lineno or 0) - node.lineno + 1 - doc
                if length > 50:
                    long[f"{file.name}:{node.name}"] = length
    assert long == {}


def test_random_streams_are_named_in_one_file():
    """No integer is folded into a key anywhere else."""
    folding = [file.name for file in EVERY if "fold_in(" in file.read_text()]
    assert folding == ["streams.py"]


def test_training_and_probes_name_no_estimator():
    """They know the registry; one more is one file and one entry."""
    from hessdiag.meta import ESTIMATORS

    names = {f'"{name}"' for name in ESTIMATORS}
    for part in ("train", "probes", "study", "problems"):
        for file in FILES[part]:
            spelt = {name for name in names if name in file.read_text()}
            default = {'"n-step"'} if file.name == "settings.py" else set()
            assert spelt <= default, file
