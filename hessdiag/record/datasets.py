"""Labelled arrays on disk: netCDF files that are whole or not there."""

import sys
import traceback
from pathlib import Path

import h5py
import xarray as xr

from hessdiag.record.atomic import write_atomically
from hessdiag.record.documents import damaged

_LARGEST = 8  # bytes in memory for each of a file, which is not compressed


def write_dataset(path: Path, dataset: xr.Dataset) -> None:
    """Write all of it, or nothing."""
    write_atomically(path, as_file(dataset))


def as_file(dataset: xr.Dataset) -> bytes:
    """What a file of it holds."""
    return bytes(dataset.to_netcdf(None, engine="h5netcdf"))


def read_dataset(path: Path, *attributes: str, without: frozenset[str] = frozenset()) -> xr.Dataset:
    """All of it but some variables, in memory.

    Raises:
        UsageError: it is damaged, or lacks one of the attributes, which are numbers.
    """
    try:
        with h5py.File(path):  # where that fails, h5netcdf leaves a traceback behind
            pass
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            if dataset.nbytes > _LARGEST * (path.stat().st_size + 1024):
                raise ValueError(f"it claims to hold {dataset.nbytes:,} bytes")
            held = dataset.drop_vars(without & set(dataset.data_vars)).load()
            for name in attributes:
                _ = held.attrs[name] + 0
    except Exception as error:  # h5py, h5netcdf and xarray raise many kinds for a damaged file
        _let_go(error)
        raise damaged(path, error) from error
    return held


def _let_go(error: Exception) -> None:
    """Close what a reader left open when it failed, unheard: closing may fail, too."""
    heard, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        traceback.clear_frames(error.__traceback__)
    finally:
        sys.unraisablehook = heard
