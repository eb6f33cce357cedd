import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray

from hessdiag.errors import UsageError
from hessdiag.record.documents import FORMAT_VERSION
from hessdiag.record.run_directory import RunDirectory, read_run
from hessdiag.record.schema import SAMPLES
from hessdiag.report import write_report
from hessdiag.report.figures.palette import VARIABLES
from hessdiag.train.launch import reopen, start
from hessdiag.train.presets import resolve
from tests.train.driving import TINY, resume


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory in which nothing has run yet."""
    return start(resolve(TINY), tmp_path / "run", command="hessdiag run").path


@pytest.fixture
def whole(recorded_run: Path) -> Path:
    """A finished run; tests must not change it."""
    return recorded_run


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def _edit(run: Path, **changes: object) -> None:
    path = run / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _files(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_run_is_never_overwritten(whole):
    before = _files(whole)
    with pytest.raises(UsageError, match=rf"--out: {whole} exists; .* \(allowed: a new path, or"):
        start(resolve(TINY), whole, command="hessdiag run")
    assert _files(whole) == before


def test_a_file_in_the_way_is_not_overwritten(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UsageError, match=r"--out: .*run exists"):
        start(resolve(TINY), tmp_path / "run", command="hessdiag run")
    assert (tmp_path / "run").read_text() == "mine"


def test_a_folder_in_the_way_is_not_filled(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(UsageError, match=r"--out: .*run exists"):
        start(resolve(TINY), tmp_path / "run", command="hessdiag run")
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("function", ["replace", "rename"])
def test_a_run_directory_is_there_as_a_whole_or_not_at_all(tmp_path, monkeypatch, function):
    """Killed before config.json is in its place, or before the directory is."""

    def kill(*_):
        raise KeyboardInterrupt

    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(os, function, kill)
        with pytest.raises(KeyboardInterrupt):
            RunDirectory.create(path, {"settings": {}})
    assert not path.exists()
    RunDirectory.create(path, {"settings": {}})
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["config.json", "probes", "run"]


@pytest.mark.parametrize("path", ["file/run", "file/deep/run"])
def test_where_nothing_can_be_written(tmp_path, path):
    (tmp_path / "file").write_text("mine")
    message = rf"--out: {tmp_path / path} cannot be written \(.*\); allowed: a writable folder"
    with pytest.raises(UsageError, match=message):
        start(resolve(TINY), tmp_path / path, command="hessdiag run")


def test_newer_format_is_refused(run):
    _edit(run, format_version=FORMAT_VERSION + 1)
    with pytest.raises(
        UsageError, match=rf"{run}/config\.json: format version 3; this hessdiag reads version 2"
    ):
        reopen(run, command="hessdiag run --resume")


def test_missing_directory_is_named(tmp_path):
    message = rf"^{tmp_path}/none/config\.json: missing$"
    with pytest.raises(UsageError, match=message):
        reopen(tmp_path / "none", command="hessdiag run --resume")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"settings": {}}'])
def test_damaged_config_is_named(run, content):
    (run / "config.json").write_bytes(content)
    with pytest.raises(UsageError, match=rf"^{run}/config\.json: damaged \(.") as raised:
        reopen(run, command="hessdiag run --resume")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "settings",
    [
        None,
        {"n": "two"},
        {"probe": 3},
        {"colour": 1},
        {"probe": {"samples": 0}},
    ],
)
def test_damaged_settings_are_named(run, settings):
    _edit(run, settings=settings)
    with pytest.raises(UsageError, match=rf"^{run}/config\.json: damaged \(.*\)$"):
        reopen(run, command="hessdiag run --resume")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_damaged_probe_is_named(copy, share):
    path = copy / "probes" / "probe_000003.nc"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UsageError, match=rf"^{path}: damaged \(.") as raised:
        RunDirectory.open(copy).read_probes()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("line", ['{"iteration": 1, "le', "{}", "3", "\x00"])
def test_damaged_line_of_metrics_is_named(copy, line):
    path = copy / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, *lines[2:]]) + "\n")
    with pytest.raises(UsageError, match=rf"^{path}: damaged \("):
        RunDirectory.open(copy).cut_after(4)


def test_half_a_last_line_is_cut(whole, copy):
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 6, "lear')
    resume(copy)
    assert (copy / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_missing_lines_of_metrics_are_named(copy):
    path = copy / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[2:]))
    with pytest.raises(UsageError, match=rf"^{path}: damaged "):
        resume(copy)


def test_cutting_leaves_what_came_before(tmp_path):
    directory = RunDirectory.create(tmp_path / "run", {})
    for t in range(5):
        directory.append_line("metrics.jsonl", {"iteration": t})
        directory.write_probe(t, xarray.Dataset(attrs={"iteration": t}))
    directory.cut_after(3)
    lines = (directory.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [0, 1, 2]
    assert [path.name for path in directory.probes()] == [f"probe_00000{t}.nc" for t in range(4)]


def test_a_directory_that_git_kept_without_its_empty_folders_takes_probes(tmp_path):
    directory = RunDirectory.create(tmp_path / "run", {})
    (directory.path / "probes").rmdir()
    directory.write_probe(3, xarray.Dataset(attrs={"iteration": 3}))
    assert [probe.attrs["iteration"] for probe in directory.read_probes()] == [3]


def test_a_failing_write_leaves_the_old_file(run):
    directory = RunDirectory.open(run)
    before = (run / "config.json").read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        directory.write_json("config.json", {"number": np.nan})
    assert (run / "config.json").read_bytes() == before
    assert not list(run.rglob("*.tmp"))


def test_a_finished_run_leaves_no_temporary_file(whole):
    assert not [p for p in whole.rglob("*") if p.suffix in (".part", ".tmp") or "tmp" in p.name]


def test_config_says_where_the_numbers_came_from(run):
    config = json.loads((run / "config.json").read_text())
    assert config["format_version"] == FORMAT_VERSION
    assert config["provenance"]["command"] == "hessdiag run"
    assert {"jax", "jaxlib", "numpy", "hessdiag"} <= config["provenance"]["versions"].keys()
    assert [p["name"] for p in config["meta_parameters"]] == [f"gamma_{i}" for i in range(10)]


def test_a_run_is_read_as_it_was_written(recorded_run):
    run = read_run(recorded_run)
    lines = [json.loads(line) for line in (recorded_run / "metrics.jsonl").read_text().splitlines()]
    assert run.metrics["iteration"].tolist() == [0, 1, 2, 3]
    assert run.metrics["hyper.gamma_3"].tolist() == [line["hyper"]["gamma_3"] for line in lines]
    assert run.settings["probe.samples"] == 3
    assert list(run.groups) == ["even discounts", "odd discounts"]
    assert run.groups["odd discounts"] == [f"gamma_{i}" for i in range(1, 10, 2)]
    whole = RunDirectory.open(recorded_run).read_probes()
    assert [probe.attrs["iteration"] for probe in run.probes] == [1, 3]
    for read, probe in zip(run.probes, whole, strict=True):
        xarray.testing.assert_identical(read, probe.drop_vars(SAMPLES))


def test_a_report_after_every_probe_reads_the_new_one_alone(recorded_run, tmp_path, monkeypatch):
    copy = Path(shutil.copytree(recorded_run, tmp_path / "copy"))
    opened, load = [], xarray.open_dataset
    monkeypatch.setattr(xarray, "open_dataset", lambda f, **o: opened.append(f) or load(f, **o))
    probe = RunDirectory.open(copy).read_probes()[0]
    read_run(copy)
    opened.clear()
    RunDirectory(copy).write_probe(4, probe.assign_attrs(iteration=4))
    assert [p.attrs["iteration"] for p in read_run(copy).probes] == [1, 3, 4]
    assert [file.name for file in opened] == ["probe_000004.nc"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("summary.json", None, "missing"),
        ("summary.json", '{"status": "asleep"}', "damaged .*'asleep'; allowed: running"),
        ("config.json", '{"format_version": 2}', "damaged .it has no settings"),
        ("config.json", '{"format_version": true}', "damaged .it has no format_version"),
        ("metrics.jsonl", "3\n", "damaged"),
        ("probes/probe_000001.nc", "no netCDF", "damaged"),
    ],
)
def test_what_cannot_be_read_is_refused(recorded_run, tmp_path, name, content, words):
    copy = Path(shutil.copytree(recorded_run, tmp_path / "copy"))
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_text(content)
    with pytest.raises(UsageError, match=rf"^{copy / name}: {words}") as raised:
        read_run(copy)
    assert "\n" not in str(raised.value)


def test_a_report_of_a_run_that_measured_everything(recorded_run, tmp_path):
    directory = Path(shutil.copytree(recorded_run, tmp_path / "run"))
    page = write_report(directory).read_text(encoding="utf-8")
    drawn = {path.stem for path in (directory / "figures").iterdir()}
    told = {"growth", "curvature", "density", "plane", "sources", "training"}
    assert told | {"exponents", "frontier", "smoothness"} == drawn
    assert not (directory / "results.json").exists()
    assert all(variable in page for variable in list(VARIABLES.values())[:5])
