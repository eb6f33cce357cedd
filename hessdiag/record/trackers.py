"""Where a run's numbers can go besides its directory: one small protocol, a class per backend."""

import csv
import importlib.util
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from contextvars import Context
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from hessdiag.errors import UsageError


class Tracker(Protocol):
    """Takes numbers by name; a name has folders, such as ``metrics/return``."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a training iteration."""

    def histogram(self, step: int, name: str, values: Float[np.ndarray, " k"]) -> None:
        """Equally likely values of a distribution."""

    def close(self) -> None:
        """Nothing more comes."""


class CsvTracker:
    """`scalars.csv` in the run's directory, a line per number; distributions as quantiles."""

    QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

    def __init__(self, directory: Path, first: int, about: Mapping[str, Any]):
        del about
        path = directory / "scalars.csv"
        kept = _before(path, first)
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerows([("iteration", "name", "value"), *kept])

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a training iteration."""
        self._writer.writerows((step, name, value) for name, value in values.items())
        self._file.flush()

    def histogram(self, step: int, name: str, values: Float[np.ndarray, " k"]) -> None:
        """Its quantiles."""
        places = np.quantile(values, self.QUANTILES)
        self.scalars(
            step,
            {f"{name}/q{q:g}": float(v) for q, v in zip(self.QUANTILES, places, strict=True)},
        )

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def _before(path: Path, first: int) -> list[list[str]]:
    """The lines of an earlier part of the run, up to where it goes on."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if len(row) == 3 and row[0].isdigit()]
    return [row for row in rows if int(row[0]) < first]


class TensorBoardTracker:
    """Event files in `tensorboard/` of the run's directory."""

    def __init__(self, directory: Path, first: int, about: Mapping[str, Any]):
        del about
        writer = importlib.import_module("tensorboardX").SummaryWriter
        self._writer = writer(str(directory / "tensorboard"), purge_step=first or None)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a training iteration."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def histogram(self, step: int, name: str, values: Float[np.ndarray, " k"]) -> None:
        """Equally likely values of a distribution."""
        self._writer.add_histogram(name, values, step)

    def close(self) -> None:
        """Nothing more comes."""
        self._writer.close()


class WandbTracker:
    """Weights & Biases, project hessdiag unless WANDB_PROJECT says another; its own modes hold."""

    def __init__(self, directory: Path, first: int, about: Mapping[str, Any]):
        self._wandb = importlib.import_module("wandb")
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "hessdiag"),
            name=_name(directory),
            dir=str(directory),
            config=dict(about),
            resume="allow" if first else None,
            reinit="create_new",  # seeds that train together have a run each
        )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a training iteration."""
        self._run.log({"iteration": step, **values})

    def histogram(self, step: int, name: str, values: Float[np.ndarray, " k"]) -> None:
        """Equally likely values of a distribution."""
        self._run.log({"iteration": step, name: self._wandb.Histogram(values)})

    def close(self) -> None:
        """Nothing more comes."""
        self._run.finish()


class TrackioTracker:
    """Trackio, project hessdiag, where TRACKIO_DIR says or a server that its own variables name."""

    def __init__(self, directory: Path, first: int, about: Mapping[str, Any]):
        self._trackio = importlib.import_module("trackio")
        alone = Context()  # where one is current, another ends it: seeds train together
        with redirect_stdout(StringIO()):  # it greets; the terminal is the display's
            self._run = alone.run(
                self._trackio.init,
                project="hessdiag",
                name=_name(directory),
                config=dict(about),
                resume="allow" if first else "never",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a training iteration."""
        self._run.log(dict(values), step=step)

    def histogram(self, step: int, name: str, values: Float[np.ndarray, " k"]) -> None:
        """Equally likely values of a distribution."""
        self._run.log({name: self._trackio.Histogram(values)}, step=step)

    def close(self) -> None:
        """Nothing more comes."""
        with redirect_stdout(StringIO()):
            self._run.finish()


def _name(directory: Path) -> str:
    """What a tracker calls a run; that of a study's cell has the study's name before it."""
    of_study = directory.parent.name == "cells"
    return f"{directory.parents[1].name}/{directory.name}" if of_study else directory.name


TRACKERS = {
    "csv": CsvTracker,
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
    "trackio": TrackioTracker,
}
NEEDS = {"tensorboard": "tensorboardX", "wandb": "wandb", "trackio": "trackio"}


def require_installed(names: Sequence[str]) -> None:
    """Refuse backends that are not installed.

    Raises:
        UsageError: one is missing.
    """
    for name in names:
        if importlib.util.find_spec(NEEDS.get(name, "csv")) is None:
            raise UsageError(
                f"--log: {name} needs {NEEDS[name]}, which is not installed; allowed: "
                "pip install 'hessdiag[log]', or --log csv"
            )
