"""A file that is not as it was written is named, or does not count: never read as if it were."""

import json
import os
import shutil
from pathlib import Path

import pytest

from hessdiag.errors import UsageError
from hessdiag.record.digests import KEY, changed, counted, difference, is_whole, sealed
from hessdiag.record.documents import read_object, write_document
from hessdiag.record.run_directory import RunRecord, read_run
from hessdiag.train.launch import reopen
from tests.train.driving import assert_same_run, resume

FILES = ("config.json", "summary.json", "metrics.jsonl", "probes/probe_000001.nc")


@pytest.fixture
def copy(recorded_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded_run, tmp_path / "copy"))


def assert_same(one: RunRecord, other: RunRecord) -> None:
    assert one.config == other.config
    assert one.summary == other.summary
    assert one.metrics.equals(other.metrics)
    assert all(a.identical(b) for a, b in zip(one.probes, other.probes, strict=True))


def test_a_document_knows_itself(tmp_path):
    write_document(tmp_path / "x.json", {"b": [1, 2.5, None], "a": "é"})
    document = read_object(tmp_path / "x.json")
    assert is_whole(document)
    assert document == sealed({"a": "é", "b": [1, 2.5, None]})
    assert not is_whole(document | {"a": "e"})
    assert is_whole({"a": "of before there were digests"})


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_refused_or_changes_nothing(recorded_run, copy, name):
    file, whole = copy / name, read_run(recorded_run)
    content = file.read_bytes()
    refused = []
    for place in range(0, len(content), max(1, len(content) // 40)):
        harmed = bytearray(content)
        harmed[place] ^= 1 << place % 8
        file.write_bytes(harmed)
        try:
            assert_same(read_run(copy), whole)
        except UsageError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert all(text.startswith(f"{copy}/") and "\n" not in text for text in refused)


@pytest.mark.parametrize("name", FILES)
def test_what_is_cut_gone_or_of_another_is_refused(copy, name):
    file = copy / name
    content = file.read_bytes()
    others = [content[: len(content) // 2], b"", None]
    if name == "metrics.jsonl":
        lines = content.splitlines(keepends=True)
        others += [b"".join(lines[:-1]), b"".join([*lines[:-2], lines[-1], lines[-2]])]
    if name.endswith(".nc"):
        others += [(copy / "probes" / "probe_000003.nc").read_bytes()]
    for other in others:
        file.unlink()
        if other is not None:
            file.write_bytes(other)
        with pytest.raises(UsageError, match=rf"^{file}: "):
            read_run(copy)
        file.write_bytes(content)
    read_run(copy)


def test_directories_from_before_there_were_digests_are_read(copy, recorded_run):
    for name in ("config.json", "summary.json"):
        document = json.loads((copy / name).read_text())
        kept = {key: value for key, value in document.items() if key not in (KEY, "record")}
        (copy / name).write_text(json.dumps(kept))
    for note in (copy / "checkpoints").glob("*.json"):
        note.unlink()
    assert read_run(copy).metrics.equals(read_run(recorded_run).metrics)
    resume(copy)
    assert_same_run(copy, recorded_run)
    assert "record" in json.loads((copy / "summary.json").read_text())


EDITS = {"seed": 7, "n": 1, "learning.learning_rate": 0.5, "problem.batch_size": 4}


@pytest.mark.parametrize("key", EDITS)
@pytest.mark.parametrize("again", [False, True], ids=["edited", "and sealed again"])
@pytest.mark.parametrize("left", ["summary.json", "checkpoints"])
def test_settings_edited_are_named(copy, key, again, left):
    (copy / "summary.json").unlink() if left == "checkpoints" else None
    config = json.loads((copy / "config.json").read_text())
    table, _, name = key.rpartition(".")
    (config["settings"][table] if table else config["settings"])[name] = EDITS[key]
    (copy / "config.json").write_text(json.dumps(sealed(config) if again else config))
    with pytest.raises(UsageError, match=rf"config\.json: damaged \({key} is {EDITS[key]} and"):
        reopen(copy, command="hessdiag run --resume")


def test_the_first_difference_has_both_values():
    assert difference({"a": 1, "b": [2]}, {"a": 1, "b": [2]}) == ""
    assert difference({"a": 1}, {"a": 1, "b": 2}) == "b is None and not 2"


def test_lines_may_follow_what_is_counted_and_nothing_else(tmp_path):
    (tmp_path / "lines.jsonl").write_text("1\n")
    (tmp_path / "x.nc").write_text("1\n")
    files = {name: counted(tmp_path / name) for name in ("lines.jsonl", "x.nc")}
    assert changed(tmp_path, files) is None
    for name, expected in (("lines.jsonl", None), ("x.nc", tmp_path / "x.nc")):
        with (tmp_path / name).open("a") as file:
            file.write("2\n")
        assert changed(tmp_path, files) == expected


LINKS = ("summary.json", ".summary.json.1.tmp", "probes", "figures", "checkpoints", ".lock")


@pytest.mark.parametrize("name", LINKS)
def test_no_link_is_followed(copy, tmp_path, name):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    if (copy / name).is_dir():
        shutil.rmtree(copy / name)
    (copy / name).unlink(missing_ok=True)
    (copy / name).symlink_to(outside / "file" if "." in name else outside)
    for action in (resume, read_run):
        with pytest.raises(UsageError, match=rf"^{copy / name}: a link"):
            action(copy)
    assert [file.name for file in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "mine"


def test_a_pipe_is_not_waited_for(copy):
    (copy / "metrics.jsonl").unlink()
    os.mkfifo(copy / "metrics.jsonl")
    with pytest.raises(UsageError, match=r"metrics\.jsonl: no file"):
        read_run(copy)


def test_what_kills_left_is_swept(copy, recorded_run):
    gone = [copy / folder / ".a.json.4194305.tmp" for folder in ("", "probes", "figures")]
    ours = copy / f".a.json.{os.getpid()}.tmp"
    half = copy / "checkpoints" / "9.orbax-checkpoint-tmp-1" / "default"
    (copy / "figures").mkdir()
    half.mkdir(parents=True)
    for file in (*gone, ours, half / "manifest.ocdbt", copy / "checkpoints" / "9.json"):
        file.write_text("{")
    resume(copy)
    assert not any(file.exists() for file in (*gone, half.parent, copy / "checkpoints" / "9.json"))
    assert ours.exists()
    assert_same_run(copy, recorded_run)


def test_damaged_timings_lose_no_result(copy, recorded_run):
    file = copy / "timings.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b"\xff\n" + b"".join(lines[2:]))
    resume(copy)
    assert_same_run(copy, recorded_run)
