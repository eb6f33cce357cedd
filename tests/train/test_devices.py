"""Eight devices that share a run: the numbers of one device to rounding, and work for each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hessdiag.devices import ONE
from hessdiag.record.run_directory import RunDirectory
from tests.train.driving import assert_same_but_for_rounding, fresh, probes, resume
from tests.train.on_devices import BOARD, CASES, MRP, SEEDS, seeds_together, stopped

pytestmark = pytest.mark.slow
MEASURED = (
    "meta_gradient",
    "mean",
    "std",
    "growth",
    "hessian_min",
    "hessian_max",
    "ritz_value",
    "spectral_radius_minus_one",
)
ROUNDING = 1e-4  # of the largest entry; 4e-6 were seen
EIGHT = "--xla_force_host_platform_device_count=8"


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs that eight devices shared."""
    folder = tmp_path_factory.mktemp("eight")
    stopped(folder / "begun-on-one", BOARD, ONE)
    command = [sys.executable, "-m", "tests.train.on_devices", str(folder)]
    flags = {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {EIGHT}"}
    done = subprocess.run(command, env=os.environ | flags, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same runs on one device."""
    folder = tmp_path_factory.mktemp("one")
    for name, settings in CASES.items():
        fresh(folder / name, settings)
    return folder


@pytest.fixture(scope="module")
def told(eight) -> dict:
    return json.loads((eight / "told.json").read_text())


def assert_probes_agree(actual: Path, expected: Path) -> None:
    """Every number of the probes to what rounding of the states before them leaves."""
    pairs = zip(probes(actual).values(), probes(expected).values(), strict=True)
    for probe, same in pairs:
        assert probe.keys() == same.keys()
        for name in MEASURED:
            there = same[name].values
            allowed = ROUNDING * np.nanmax(np.abs(there))
            np.testing.assert_allclose(probe[name], there, rtol=0, atol=allowed, err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_a_run_is_that_of_one_device_to_rounding(one, eight, name):
    assert_same_but_for_rounding(eight / name, one / name)
    assert_probes_agree(eight / name, one / name)
    provenance = RunDirectory(eight / name).config()["provenance"]
    assert provenance["devices"] == 8
    assert RunDirectory(one / name).config()["provenance"]["devices"] == 1


def test_a_run_goes_on_with_other_devices(one, eight):
    assert_same_but_for_rounding(eight / "begun-on-one", one / "snake")
    on_one = resume(eight / "begun-on-eight")
    assert_same_but_for_rounding(on_one, one / "snake")
    for path, number in ((on_one, 1), (eight / "begun-on-one", 8)):
        assert RunDirectory(path).config()["resumed"][-1]["devices"] == number


def test_seeds_that_train_together_are_as_on_one_device(eight, tmp_path):
    for path in seeds_together(tmp_path, MRP, ONE):
        there = eight / "together" / path.name
        assert_same_but_for_rounding(there, path)
        assert_probes_agree(there, path)


def test_environments_are_spread_and_stay_so_without_another_program(told):
    assert told["devices"] == 8
    snake = told["snake"]
    assert set(snake["environments"]) == {8}
    assert set(snake["before"]) == {1, 8}
    assert snake["after"] == [snake["before"]] * 2
    assert snake["programs"] == 1
    assert set(snake["alone"]) == {1}


def test_without_environments_one_device_trains(told):
    assert set(told["mrp"]["before"]) == {1}


def test_seeds_are_spread(told):
    seeds = told["seeds"]
    assert set(seeds["before"]) == {len(SEEDS)}
    assert seeds["after"] == [seeds["before"]] * 2
    assert seeds["programs"] == 1
    assert set(seeds["alone"]) == {1}


def test_samples_and_start_vectors_are_spread(told):
    assert told["chunk"] == {"samples": [8], "calls": 3}
    assert told["starts"] == [2]


def test_shares_are_filled_up(told):
    assert all(told["uneven"])
