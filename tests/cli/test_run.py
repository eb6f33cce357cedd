import json
import re
import shutil
import threading
from pathlib import Path

import pytest
from hessdiag.cli import drive, dry_run  # pyright: ignore[reportMissingImports]

from hessdiag.study.calibration import Estimate
from hessdiag.train import room
from tests.cli.arguments import TINY_RUN, UNPROBED_RUN, tiny_run
from tests.train.driving import assert_same_run, metrics, probes

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def _refuse_constant(name: str):
    raise ValueError(name)


def _events(text: str) -> list[dict]:
    """One object per line, and no NaN, which is not JSON."""
    return [json.loads(line, parse_constant=_refuse_constant) for line in text.splitlines()]


@pytest.mark.usefixtures("without_report")
def test_json_is_one_object_per_line(cli, whole, tmp_path):
    done = cli(*TINY_RUN, "--json", "--out", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    events = _events(done.out)
    kinds = [event.pop("event") for event in events]
    assert (kinds[0], kinds[-1]) == ("start", "finish")
    iterations = [event for kind, event in zip(kinds, events, strict=True) if kind == "iteration"]
    assert iterations == [json.loads(line) for line in metrics(whole).splitlines()]
    assert kinds.count("probe") == 1
    assert events[-1]["report"] == str(tmp_path / "run" / "report.html")
    assert events[-1]["summary"]["status"] == "finished"
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.usefixtures("without_report")
def test_plain_output_has_no_control_characters(cli, tmp_path):
    done = cli(*TINY_RUN, "--out", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    assert CONTROL.search(done.out) is None
    lines = done.out.splitlines()
    assert lines[0] == f"hessdiag: mrp, n = 2, n-step: {tmp_path / 'run'}"
    assert sum("probe at iteration 3: std ratio" in line for line in lines) == 1
    assert sum(line.startswith("hessdiag run · run · ") for line in lines) == 1
    assert lines[-1] == f"report: {tmp_path / 'run' / 'report.html'}"


def test_quiet_prints_only_where_the_report_is(cli, tmp_path):
    report = tmp_path / "run" / "report.html"
    assert cli(*UNPROBED_RUN, "--quiet", "--out", tmp_path / "run") == (0, f"{report}\n", "")
    assert report.is_file()


def test_reports_are_made_beside_the_run_and_the_last_one_tells_all(cli, tmp_path, monkeypatch):
    seen = []

    def write(path: Path) -> None:
        """Notes how many probes there are to report on, and in which thread."""
        summary = json.loads((path / "summary.json").read_text())
        seen.append((len(summary["probes"]), threading.current_thread()))

    monkeypatch.setattr(drive, "write_report", write)
    assert cli(*TINY_RUN, "--out", tmp_path / "run").code == 0
    numbers = [number for number, _ in seen]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 1
    assert threading.main_thread() not in {thread for _, thread in seen}


def test_horizon_zero_runs(cli, tmp_path):
    path = tmp_path / "run"
    done = cli(*tiny_run(n=0), "--out", path)
    assert (done.code, done.err) == (0, "")
    assert "probe at iteration 3: no meta-gradient (n = 0)" in done.out
    assert [list(probe.data_vars) for probe in probes(path).values()] == [[]]
    records = [json.loads(line) for line in metrics(path).splitlines()]
    assert {record["meta_gradient_norm"] for record in records} == {0.0}
    assert len({json.dumps(record["eta"]) for record in records}) == 1
    assert '<figure id="growth"' not in (path / "report.html").read_text()


def test_terminal_shows_bars_and_the_last_probe(cli, tmp_path, monkeypatch):
    reported = []
    monkeypatch.setattr(drive, "write_report", reported.append)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    done = cli(*TINY_RUN, "--out", tmp_path / "a [b] run")
    assert (done.code, done.err) == (0, "")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.out)
    assert text.startswith(f"mrp, n = 2, n-step → {tmp_path / 'a [b] run'}".split()[0])
    assert "training" in text
    assert "6/6" in text
    assert "last probe (3): std ratio" in text
    assert "a [b] run/report.html" in text
    assert set(reported) == {tmp_path / "a [b] run"}


@pytest.mark.usefixtures("without_report")
def test_meta_gradients_that_never_vary_have_no_growth_to_show(cli, tmp_path):
    done = cli(*tiny_run(problem__odd_std=0.0), "--out", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    assert "std ratio ? [?, ?]" in done.out


@pytest.mark.usefixtures("without_report")
def test_resuming_a_finished_run_says_where_its_report_is(cli, whole, tmp_path):
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    done = cli("run", "--resume", copy, "--quiet")
    assert done == (0, f"{copy / 'report.html'}\n", "")
    assert_same_run(copy, whole)


@pytest.mark.usefixtures("without_report")
def test_nan_is_code_1_and_leaves_a_report(cli, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "train"))
    path = tmp_path / "run"
    done = cli(*tiny_run(env="turns_nan:make_problem", probe__at=[5]), "--out", path)
    assert done.code == 1
    message = "NaN or infinity in the inner loss at iteration 1; the last good state, before "
    message += "iteration 1, is saved in "
    assert done.err.startswith(f"hessdiag: {message}")
    assert done.err.count("\n") == 1
    summary = json.loads((path / "summary.json").read_text())
    assert summary["status"] == "failed"
    assert summary["message"].startswith(message)
    assert (path / "report.html").is_file()
    assert {file.name for file in (path / "checkpoints").iterdir()} == {"1", "1.json"}


@pytest.mark.parametrize("name", ["a run", "a [b] run"])
def test_names_of_directories_are_taken_as_they_are(cli, whole, tmp_path, name):
    copy = Path(shutil.copytree(whole, tmp_path / name))
    done = cli("show", copy)
    assert (done.code, done.err) == (0, "")
    assert f"hessdiag run · {name} · " in done.out


@pytest.fixture
def calibrated(monkeypatch):
    """What is calibrated: chunks; nothing is compiled."""
    made = []

    def calibrate(settings, seeds):
        made.append((settings.probe.chunk, seeds))
        return Estimate(10.0, 100.0, 1.0, 2**30)

    monkeypatch.setattr(dry_run, "calibrate", calibrate)
    return made


def test_a_dry_run_tells_what_a_run_takes_and_makes_nothing(cli, calibrated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli(*TINY_RUN, "--dry-run")
    assert (done.code, done.err) == (0, "calibrating the run\n")
    for words in ("1 cell ", "2 min", "1,024 MiB", "GiB of"):
        assert words in done.out
    assert calibrated == [(2, 1)]
    assert list(tmp_path.iterdir()) == []
    again = cli("run", "--resume", tmp_path, "--dry-run")
    assert again.code == 2
    assert "--resume: cannot be combined with --dry-run" in again.err


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_run_that_does_not_fit_is_refused_in_a_line(cli, calibrated, tmp_path, monkeypatch, more):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(room, "free_memory", lambda: 2**30)
    done = cli("run", "--env", "mrp", "--batch-size", 10**7, *more)
    assert (done.code, done.out, calibrated) == (2, "", [])
    assert re.fullmatch(
        r"hessdiag: problem.batch_size \(--batch-size\): 10000000 needs at least \S+ GiB of "
        r"memory, and 1.0 GiB are free; allowed: \d+ or fewer.*\n",
        done.err,
    )
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_tells_of_smaller_chunks_and_calibrates_those(cli, calibrated, monkeypatch):
    monkeypatch.setattr(room, "free_memory", lambda: 10**6)
    monkeypatch.setattr(room, "needed", lambda s, *, seeds: s.probe.chunk * seeds * 6 * 10**5)
    done = cli(*TINY_RUN, "--dry-run")
    assert done.err.startswith("probe.chunk (--chunk): 1 at once in place of 2, since 1.0 MiB of")
    assert calibrated == [(1, 1)]
