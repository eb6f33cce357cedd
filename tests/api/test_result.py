"""What every result can do, on one that needs no computation."""

import base64
import os
from pathlib import Path

import numpy as np
import pytest
import xarray

from hessdiag.api.plots import spectrum_figure
from hessdiag.api.result import Result


class Numbers(Result):
    slug = "numbers"

    def tables(self):
        return []

    def figure(self):
        return spectrum_figure(self.dataset)


@pytest.fixture
def result():
    return Numbers(xarray.Dataset({"it": ("x", np.arange(3.0))}, attrs={"seed": 0}))


def test_the_text_is_the_same_in_a_notebook(result, monkeypatch):
    monkeypatch.setattr(Numbers, "notes", lambda _: ["a note"])
    elsewhere = str(result)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert str(result) == elsewhere == "a note"


def test_a_notebook_shows_text_and_picture(monkeypatch):
    density = xarray.Dataset(
        {
            "grid": ("grid_point", np.linspace(-1, 1, 5)),
            "density": ("grid_point", np.ones(5)),
            "cumulative": ("grid_point", np.linspace(0, 1, 5)),
            "cumulative_error": ("grid_point", np.zeros(5)),
            "lowest": -1.0,
            "highest": 1.0,
        }
    )
    monkeypatch.setattr(Numbers, "notes", lambda _: ["a < b"])
    page = Numbers(density)._repr_html_()
    assert "<pre>a &lt; b</pre>" in page
    data = page.partition("base64,")[2].partition('"')[0]
    assert base64.b64decode(data).startswith(b"\x89PNG")
    assert len(page) < 100_000


def read(path) -> xarray.Dataset:
    with xarray.open_dataset(path, engine="h5netcdf") as saved:
        return saved.load()


def test_a_saved_file_replaces_the_old_one_and_leaves_nothing_else(result, tmp_path):
    path = tmp_path / "it.nc"
    path.write_bytes(b"old")
    assert result.save(str(path)) == path
    assert read(path).identical(result.dataset)
    assert list(tmp_path.iterdir()) == [path]


def test_a_save_that_is_cut_off_leaves_the_old_file_alone(result, tmp_path, monkeypatch):
    """Whatever stops it stops it before the renaming."""
    path = result.save(tmp_path / "it.nc")

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    changed = Numbers(result.dataset + 1)
    for target in (path, tmp_path / "new.nc"):
        with pytest.raises(KeyboardInterrupt):
            changed.save(target)
    assert list(tmp_path.iterdir()) == [path]
    assert read(path).identical(result.dataset)


def test_a_folder_that_is_not_there_is_refused(result, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        result.save(tmp_path / "nowhere" / "it.nc")


def test_the_home_folder_may_be_abbreviated(result, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert result.save("~/it.nc") == Path(tmp_path / "it.nc")
    assert read(tmp_path / "it.nc").identical(result.dataset)
