"""Numbers that go to trackers are those of the run's directory."""

import csv
import json
import sqlite3
import sys
from contextlib import closing

import numpy as np
import pytest

from hessdiag.record.run_directory import read_run
from hessdiag.record.trackers import TRACKERS
from tests.cli.arguments import TINY_RUN


def scalars(path):
    with (path / "scalars.csv").open() as file:
        return {(int(r["iteration"]), r["name"]): float(r["value"]) for r in csv.DictReader(file)}


@pytest.fixture(scope="module")
def trackio(tmp_path_factory):
    """Where Trackio keeps its database: it looks once, when it is imported."""
    path = tmp_path_factory.mktemp("trackio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(path))
        yield path / "hessdiag.db"


def logged(path):
    """(name of the run, step, numbers) of every call."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("select run_name, step, metrics from metrics order by id")
        return [(run, step, json.loads(text)) for run, step, text in rows]


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_every_backend_holds_the_metrics_and_the_spectra(cli, tmp_path, trackio, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("WANDB_MODE", "offline")
    run = tmp_path / "run"
    logs = [part for name in TRACKERS for part in ("--log", name)]
    done = cli(*TINY_RUN, *logs, "--quiet", "--out", run)
    assert done.code == 0
    assert "--log" not in done.err
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    norms = [line["meta_gradient_norm"] for line in lines]

    written = scalars(run)
    assert [written[step, "meta_gradient_norm"] for step in range(len(lines))] == norms
    (probe,) = read_run(run).probes
    at = int(probe.attrs["iteration"])
    growth = float(probe.growth.sel(estimator="n-step").isel(horizon=-1))
    assert written[at, "probe/growth"] == growth
    assert any(name.startswith("checks/HD") for _, name in written)
    ritz = probe.ritz_value.sel(inner_step=0)
    assert written[at, "spectrum/hessian_step_0/q1"] == float(ritz.max())
    assert written[at, "spectrum/hessian_step_0/q0"] == float(ritz.min())

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    told = [event.value for event in events.Scalars("meta_gradient_norm")]
    np.testing.assert_allclose(told, norms, rtol=1e-6)
    (histogram,) = events.Histograms("spectrum/hessian_step_0")
    assert histogram.histogram_value.max == pytest.approx(float(ritz.max()))

    (offline,) = (run / "wandb").glob("offline-run-*/run-*.wandb")
    assert b"meta_gradient_norm" in offline.read_bytes()
    assert b"spectrum/hessian_step_0" in offline.read_bytes()

    told = [(step, numbers) for run, step, numbers in logged(trackio) if run == "run"]
    name = "meta_gradient_norm"
    kept = {step: numbers[name] for step, numbers in told if name in numbers}
    assert [kept[step] for step in range(len(lines))] == norms
    assert any("spectrum/hessian_step_0" in numbers for _, numbers in told)


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_seeds_that_train_together_have_trackers_of_their_own(cli, tmp_path, trackio, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    study = tmp_path / "study"
    tiny = ("--env", "mrp", "--set", "train.iterations=3", "--set", "probe.points=0")
    logs = [part for name in TRACKERS for part in ("--log", name)]
    done = cli("study", *tiny, "--n", "1", "--seed", "0:2", *logs, "--quiet", "--out", study)
    assert done.code == 0
    assert "--log" not in done.err

    name, told = "meta_gradient_norm", {}
    for cell in sorted((study / "cells").iterdir()):
        lines = [json.loads(line) for line in (cell / "metrics.jsonl").read_text().splitlines()]
        told[f"study/{cell.name}"] = norms = [line[name] for line in lines]
        assert [scalars(cell)[step, name] for step in range(3)] == norms
        assert len([*(cell / "tensorboard").iterdir()]) == 1
        (offline,) = (cell / "wandb").glob("offline-run-*/run-*.wandb")
        assert name.encode() in offline.read_bytes()
    first, second = told.values()
    assert first != second

    kept: dict[str, list[float]] = {}
    for run, _, numbers in logged(trackio):
        if run in told:
            kept.setdefault(run, []).append(numbers[name])
    assert kept == told


def test_a_resumed_run_goes_on_in_the_same_table(tmp_path):
    for first, values in ((0, (0, 1, 2, 3)), (2, (2, 3, 4))):
        tracker = TRACKERS["csv"](tmp_path, first, {})
        for step in values:
            tracker.scalars(step, {"value": 10.0 * step + first})
        tracker.close()
    assert scalars(tmp_path) == {
        (step, "value"): 10.0 * step + (2 if step >= 2 else 0) for step in range(5)
    }


@pytest.mark.usefixtures("without_report")
def test_a_tracker_that_fails_stops_nothing(cli, tmp_path, monkeypatch):
    class Failing:
        def __init__(self, *_):
            raise ConnectionError("no way\nout")

    monkeypatch.setitem(TRACKERS, "csv", Failing)
    done = cli(*TINY_RUN, "--log", "csv", "--quiet", "--out", tmp_path / "run")
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert read_run(tmp_path / "run").summary["status"] == "finished"


def test_one_that_is_not_installed_is_refused(cli, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    done = cli(*TINY_RUN, "--log", "wandb", "--out", tmp_path / "run")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert not (tmp_path / "run").exists()
