import json
from pathlib import Path

import numpy as np
import pytest

from hessdiag.errors import UsageError
from hessdiag.report import load


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_everything_is_read(run_directory: Path) -> None:
    data = load(run_directory)
    assert [probe.attrs["iteration"] for probe in data.probes] == [100, 550, 1000]
    assert len(data.metrics) == 40
    assert data.headline == "return"
    assert data.meta_parameters == ("gamma", "lam", "c_crit", "c_entr")


def test_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such run directory"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "summary.json", "metrics.jsonl"])
def test_missing_file_is_named(run_directory: Path, name: str) -> None:
    (run_directory / name).unlink()
    with pytest.raises(UsageError, match=f"{name}: the file is missing"):
        load(run_directory)


def test_run_that_has_logged_nothing_needs_no_metrics(run_directory: Path) -> None:
    (run_directory / "metrics.jsonl").unlink()
    _edit(run_directory / "summary.json", status="running", iteration=0)
    assert load(run_directory).metrics == ()


@pytest.mark.parametrize("name", ["config.json", "summary.json"])
def test_damaged_json_is_named(run_directory: Path, name: str) -> None:
    text = (run_directory / name).read_text()
    (run_directory / name).write_text(text[: len(text) // 2])
    with pytest.raises(UsageError, match=f"{name}: damaged JSON"):
        load(run_directory)


def test_json_of_another_shape_is_named(run_directory: Path) -> None:
    (run_directory / "config.json").write_text("[1, 2]")
    with pytest.raises(UsageError, match=r"config\.json: expected a JSON object, found list"):
        load(run_directory)


def test_bytes_that_are_not_text_are_named(run_directory: Path) -> None:
    (run_directory / "summary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"summary\.json: unreadable"):
        load(run_directory)


def test_newer_format_is_refused(run_directory: Path) -> None:
    _edit(run_directory / "config.json", format_version=2)
    with pytest.raises(UsageError, match=r"format version 2 is newer than 1.*upgrade hessdiag"):
        load(run_directory)


@pytest.mark.parametrize("version", [None, "1", 0, True, 1.0])
def test_version_that_is_none_is_refused(run_directory: Path, version: object) -> None:
    _edit(run_directory / "config.json", format_version=version)
    with pytest.raises(UsageError, match="format_version must be a positive integer"):
        load(run_directory)


def test_config_without_settings_is_refused(run_directory: Path) -> None:
    _edit(run_directory / "config.json", settings=None)
    with pytest.raises(UsageError, match="the table 'settings' is missing"):
        load(run_directory)


def test_unknown_status_is_refused(run_directory: Path) -> None:
    _edit(run_directory / "summary.json", status="asleep")
    with pytest.raises(UsageError, match=r"status must be one of running.*not 'asleep'"):
        load(run_directory)


@pytest.mark.parametrize("half", ['{"iteration": 41, "metr', "{}", "41"])
def test_half_a_last_line_is_left_out(run_directory: Path, half: str) -> None:
    with (run_directory / "metrics.jsonl").open("a") as file:
        file.write(half)
    assert len(load(run_directory).metrics) == 40


def test_damage_before_the_last_line_is_refused(run_directory: Path) -> None:
    path = run_directory / "metrics.jsonl"
    lines = path.read_text().splitlines()
    lines[6] = lines[6][:20]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UsageError, match=r"metrics\.jsonl: line 7 is not a record"):
        load(run_directory)


def test_not_a_number_is_read(run_directory: Path) -> None:
    with (run_directory / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 1001, "metrics": {"return": NaN}}\n')
    assert np.isnan(load(run_directory).metrics[-1]["metrics"]["return"])


def test_damaged_probe_is_named(run_directory: Path) -> None:
    path = run_directory / "probes" / "probe_000550.nc"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"probe_000550\.nc: not a readable probe"):
        load(run_directory)


def test_probe_without_iteration_is_named(run_directory: Path) -> None:
    probe = load(run_directory).probes[0].copy()
    del probe.attrs["iteration"]
    probe.to_netcdf(run_directory / "probes" / "probe_000001.nc", engine="h5netcdf")
    with pytest.raises(UsageError, match=r"probe_000001\.nc: the attribute 'iteration'"):
        load(run_directory)


def test_temporary_files_of_the_writer_are_passed_over(run_directory: Path) -> None:
    (run_directory / "probes" / ".probe_000999.nc.tmp").write_bytes(b"half")
    assert len(load(run_directory).probes) == 3


def test_rewritten_probe_is_read_again(run_directory: Path) -> None:
    probe = load(run_directory).probes[0].copy()
    probe.attrs["samples"] = 123456789
    probe.attrs["note"] = "longer"
    probe.to_netcdf(run_directory / "probes" / "probe_000100.nc", engine="h5netcdf")
    assert load(run_directory).probes[0].attrs["samples"] == 123456789
