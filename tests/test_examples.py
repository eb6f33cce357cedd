"""The scripts of the user's guide run, and print and write what the guide says."""

import subprocess
import sys
from pathlib import Path

import pytest
import xarray

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def run(name: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_classifier(tmp_path):
    printed = run("classifier.py", tmp_path)
    assert "largest eigenvalue" in printed
    assert printed.count("products spent") == 2
    assert "Norm of the product" in printed
    for name in ("spectrum", "inner-loop"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    with xarray.open_dataset(tmp_path / "inner-loop.nc", engine="h5netcdf") as saved:
        assert saved.sizes["inner_step"] == 10
        assert bool((saved["hessian_max"] > saved["hessian_min"]).all())
    with xarray.open_dataset(tmp_path / "spectrum.nc", engine="h5netcdf") as saved:
        assert float(saved["highest"]) > 0 > float(saved["lowest"])
        assert saved["highest"].attrs["long_name"] == "largest eigenvalue"


@pytest.mark.slow
def test_learned_rates(tmp_path):
    printed = run("learned_rates.py", tmp_path)
    losses = [
        float(line.split()[-1])
        for line in printed.splitlines()
        if line.startswith("meta-iteration")
    ]
    assert losses[1] < 0.8 * losses[0]
    assert "augmented" in printed
