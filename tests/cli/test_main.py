import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hessdiag.inner import CUTS
from hessdiag.inner.optimisers import OPTIMISERS
from hessdiag.probes.inner_loop import ALL_OPERATORS
from hessdiag.train.settings import DECLARED, PRESETS
from tests.cli.arguments import UNPROBED_RUN

HEAVY = ("jax", "jaxlib", "flax", "optax", "numpy", "matplotlib")
NAMES = (
    "env",
    "n",
    "estimator",
    "optimiser",
    "seed",
    "preset",
    "config",
    "out",
    "resume",
    "quiet",
    "json",
)


QUICK = ("--help", "run --help", "study -h", "show -h", "report -h", "envs -h", "envs", "--version")
ASK_ALL = """
import contextlib, io, json, sys
from hessdiag.cli.main import main

def ask(words):
    sys.argv = ["hessdiag", *words.split()]
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        main()
    return said.getvalue()

answers = [ask(words) for words in sys.argv[1:]]
print(json.dumps([answers, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def test_help_is_quick():
    """One process is asked everything, and has imported nothing that takes long."""
    command = [sys.executable, "-c", ASK_ALL, *QUICK]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers, modules = json.loads(done.stdout)
    assert len(answers) == len(QUICK)
    assert all(answers)
    assert "click" in modules
    assert not set(HEAVY) & set(modules)


def test_help_names_every_command_and_flag(cli):
    assert all(command in cli("--help").out for command in ("run", "report", "show", "envs"))
    text = cli("run", "--help").out
    assert all(f"--{name} " in text for name in NAMES)
    flags = [flag for one in DECLARED.values() for flag in one.flag.split()]
    assert all(flag.partition("/")[0] in text for flag in flags)


def test_help_names_what_is_allowed(cli):
    """Without importing what knows the names."""
    text = "".join(cli("run", "--help").out.split())
    assert all(name in text for name in (*ALL_OPERATORS, *CUTS, *OPTIMISERS, *PRESETS))


def test_no_command_shows_the_help(cli):
    done = cli()
    assert done.code == 2
    assert done.err.startswith("Usage: hessdiag [OPTIONS] COMMAND")
    assert len(done.err.splitlines()) > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("fly", "No such command 'fly'."),
        ("run --fly", "No such option '--fly'."),
        ("run --n two", "Invalid value for '--n': 'two' is not a valid integer."),
        ("run -K 2.5", "Invalid value for '--samples' / '-K': '2.5' is not a valid integer."),
        ("run --seed", "Option '--seed' requires an argument."),
        ("run extra", "Got unexpected extra argument (extra)"),
        ("run --env chess", "--env: 'chess' is unknown; allowed: snake, mrp, "),
        ("run --env broken:make", "--env: 'broken:make' could not be imported (RuntimeError: boo"),
        ("run --env nowhere:make", "--env: 'nowhere:make' could not be imported (ModuleNotFound"),
        ("run --n -1", "n (--n): -1 is not allowed; allowed: 0 to 10000"),
        ("run -K 1", "probe.samples (--samples): 1 is not allowed; allowed: 2 or more"),
        ("run --board-size 3", "problem.rows (--board-size): 3 is not allowed; allowed: 4 to"),
        ("run --env mrp --board-size 4", "problem.rows: 'mrp' has no such setting; allowed: stat"),
        ("run --estimator best", "estimator (--estimator): 'best' is not allowed; allowed: n-st"),
        ("run --estimator mix --n 0", "n (--n): 0 is not allowed; allowed: 1 or more with --estim"),
        ("run --devices 99", "--devices: 99 is not allowed; allowed: 1"),
        ("run --devices 0", "--devices: 0 is not allowed; allowed: 1"),
        ("run --devices -1 --resume here", "--devices: -1 is not allowed; allowed: 1"),
        ("run --precision double", "precision (--precision): 'double' is not allowed; allowed: fl"),
        ("run --preset huge", "preset (--preset): 'huge' is not allowed; allowed: smoke, lap"),
        ("run --kappa 2", "kappa (--kappa): 2.0 is not allowed; allowed: 0 to 1"),
        ("run --set colour", "--set: 'colour' is not allowed; allowed: KEY=VALUE"),
        ("run --set =1", "--set: '=1' is not allowed; allowed: KEY=VALUE"),
        ("run --set colour=1", "colour: no such setting; allowed: env, n, estimator"),
        ("run --seed 4294967296", "seed (--seed): 4294967296 is not allowed; allowed: 0 to 429496"),
        (f"run --n {2**70}", f"n (--n): {2**70} is not allowed; allowed: "),
        (f"run --set n={'9' * 5000}", "n (--n): "),
        (f"run --set n={'[' * 3000}", "n (--n): "),
        ("run --config deep.toml", "--config: deep.toml cannot be read as TOML ("),
        ("run --config keys.toml", "--config: keys.toml cannot be read as TOML ("),
        ("run --config digits.toml", "--config: digits.toml cannot be read as TOML ("),
        (f"run --env mrp --out {'x' * 300}", f"--out: {'x' * 300} cannot be written ("),
        (f"show {'x' * 300}", "[Errno 36] File name too long: 'xxx"),
        ("run --set n=inf", "n (--n): inf is not allowed; allowed: an integer"),
        ("run --config bad.toml", "--config: bad.toml cannot be read as TOML (Invalid value (at"),
        ("run --config none.toml", "--config: none.toml cannot be read as TOML ([Errno 2] No suc"),
        ("run --config key.toml", "probe.colour: no such setting; allowed: probe.points, probe.a"),
        ("run --out file/run", "--out: file/run cannot be written (Not a directory); allowed: a w"),
        ("run --out file", "--out: file exists; a run directory is never overwritten (allowed:"),
        ("run --resume none", "none/config.json: missing"),
        ("run --resume newer", "newer/config.json: format version 99; this hessdiag reads versi"),
        ("run --resume damaged", "damaged/config.json: damaged (Expecting property"),
        ("run --resume newer --n 3", "--resume: cannot be combined with n; a resumed run keeps"),
        ("run --resume newer --out x", "--resume: cannot be combined with --out; a resumed run"),
        ("run --resume newer --set n=3", "--resume: cannot be combined with n; a resumed run ke"),
        ("show none", "none: neither a run nor a study ("),
        ("show damaged", "damaged/config.json: damaged ("),
        ("show", "Missing argument 'DIRECTORY'."),
        ("report none", "none: neither a run nor a study ("),
        ("report newer", "newer/config.json: format version 99; this hessdiag reads versi"),
    ],
)
def test_bad_input_is_one_line_and_code_2(cli, tmp_path, monkeypatch, arguments, message):
    (tmp_path / "bad.toml").write_text("n = ")
    (tmp_path / "deep.toml").write_text(f"n = {'[' * 100_000}")
    (tmp_path / "keys.toml").write_text(f"{'.'.join('a' * 20_000)} = 1")
    (tmp_path / "digits.toml").write_text(f"n = {'9' * 5000}")
    (tmp_path / "key.toml").write_text("[probe]\ncolour = 1")
    (tmp_path / "broken.py").write_text("raise RuntimeError('boom\\nboom')")
    (tmp_path / "file").write_text("mine")
    for name, config in (("newer", '{"format_version": 99}'), ("damaged", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(config)
    (tmp_path / "damaged" / "summary.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    done = cli(*arguments.split())
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith(f"hessdiag: {message}")
    assert done.err.count("\n") == 1
    made = set(tmp_path.rglob("*")) - set(before)
    assert {path for path in made if "__pycache__" not in path.parts} == set()


def test_bad_input_of_the_installed_command(spawn):
    process = spawn("run", "--n", "-1")
    out, err = process.communicate()
    assert process.returncode == 2
    assert (out, err) == ("", "hessdiag: n (--n): -1 is not allowed; allowed: 0 to 10000\n")


@pytest.mark.usefixtures("without_report")
def test_a_damaged_checkpoint_is_told_in_one_line(cli, whole, tmp_path):
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    for path in (copy / "checkpoints" / "6").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = cli("run", "--resume", copy, "--quiet")
    assert done.code == 0
    message = f"hessdiag: --resume: the checkpoint {copy}/checkpoints/6 is damaged ("
    assert done.err.startswith(message)
    assert done.err.count("\n") == 1


@pytest.mark.usefixtures("without_report")
def test_flags_reach_the_settings(cli, tmp_path):
    config = tmp_path / "my.toml"
    config.write_text("kappa = 0.5\n[train]\niterations = 50\n[probe]\nsamples = 5")
    flags = "--env mrp --n 1 --estimator mix --seed 4 --preset smoke --iterations 2 --probes 0"
    more = "--batch-size 4 --learning-rate 0.01 --meta-learning-rate 0.02 --chunk 3 --no-remat"
    out = tmp_path / "run"
    done = cli("run", *flags.split(), *more.split(), "--config", config, "--out", out, "--quiet")
    assert done.code == 0
    stored = json.loads((out / "config.json").read_text())
    settings = stored["settings"]
    top = ("env", "n", "estimator", "kappa", "seed", "preset", "remat")
    assert [settings[key] for key in top] == ["mrp", 1, "mix", 0.5, 4, "smoke", False]
    assert settings["train"]["iterations"] == 2
    assert [settings["probe"][key] for key in ("points", "samples", "chunk")] == [0, 5, 3]
    assert settings["problem"]["batch_size"] == 4
    assert settings["learning"]["learning_rate"] == 0.01
    assert settings["learning"]["meta_learning_rate"] == 0.02
    assert stored["provenance"]["command"].startswith("hessdiag run --env mrp --n 1 ")
    assert stored["provenance"]["compiler_self_test"]["passed"]


@pytest.mark.usefixtures("without_report")
def test_a_run_without_out_goes_under_reports(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli(*UNPROBED_RUN, "--quiet")
    assert done.code == 0
    (made,) = (tmp_path / "reports").iterdir()
    assert made.name.startswith("mrp-n2-seed0-20")
    assert done.out == f"reports/{made.name}/report.html\n"
