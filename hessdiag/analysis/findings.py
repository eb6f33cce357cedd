"""What the measurements of a run or of a study say, as data: statuses, numbers and codes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import xarray as xr

HOLDS, FAILS, UNDECIDED, UNKNOWN = "holds", "does not hold", "undecided", "not measured"


@dataclass(frozen=True)
class Quantity:
    """A number with its interval; its ends are NaN where there is none."""

    value: float
    low: float
    high: float
    over: str  # what the interval is over: "seeds", "probes", "samples" or "bound"
    count: int  # how many of them; for a bound, how many numbers the extreme is of


@dataclass(frozen=True)
class Answer:
    """What is decided about one question in one configuration."""

    question: str  # its code, such as "published" or "memory-cut"
    configuration: str  # as in the tables; empty where there is one
    status: str  # "holds", "does not hold", "undecided" or "not measured"
    reason: str = ""  # a short code of why, such as "no-work" or "closer"
    numbers: Mapping[str, Quantity] = field(default_factory=dict)  # the deciding ones by name
    labels: Mapping[str, str] = field(default_factory=dict)  # such as the closest explanation's
    needs: Mapping[str, float] = field(default_factory=dict)  # to be decided, such as {"seeds": 8}
    figure: str = ""  # the slug of the one that shows it


@dataclass(frozen=True)
class Check:
    """Something that makes numbers less certain than they look."""

    code: str  # stable, such as "HD001"
    configuration: str  # as in the tables
    count: int  # how many measurements are concerned
    of: int  # out of how many
    numbers: Mapping[str, float] = field(default_factory=dict)  # that say how badly


@dataclass(frozen=True)
class Findings:
    """All that a report shows of a run or of a study; a run is a study of one cell."""

    name: str
    kind: str  # "run" or "study"
    confidence: float  # level of the intervals
    about: Mapping[str, Any]  # of the problem: "summary", "headline", "followed", "groups"
    configurations: tuple[str, ...]  # what is varied but for the seed, in the order of the cells
    settings: Mapping[str, Any]  # the values that each setting has in some run, by dotted key
    varied: tuple[str, ...]  # dotted keys of what is varied, the seed included
    choices: tuple[str, ...]  # what was ours where the paper is silent
    provenance: Mapping[str, Any]  # where the numbers come from
    cells: pd.DataFrame  # a row per run
    scale: Mapping[str, Any]  # its iterations, seeds, samples, points and Monte-Carlo estimates
    tables: Mapping[str, pd.DataFrame]  # the measurements, by name
    verdict: tuple[Answer, ...] = ()  # every question with what is decided
    checks: tuple[Check, ...] = ()  # what makes numbers less certain
    # of every cell; empty where the runs are gone
    probes: Mapping[str, tuple[xr.Dataset, ...]] = field(default_factory=dict)
    metrics: Mapping[str, pd.DataFrame] = field(default_factory=dict)  # metrics.jsonl, flattened
