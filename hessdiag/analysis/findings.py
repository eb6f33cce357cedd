"""What the measurements of a run or of a study say, as data: statuses, numbers and codes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import xarray as xr

HOLDS, FAILS, UNDECIDED, UNKNOWN = "holds", "does not hold", "undecided", "not measured"


@dataclass(frozen=True)
class Quantity:
    """A number with its interval; its ends are NaN where there is none.

    Attributes:
        value: the number.
        low: lower end.
        high: upper end.
        over: what the interval is over: "seeds", "probes", "samples" or "bound".
        count: how many of them; for a bound, how many numbers the extreme is of.
    """

    value: float
    low: float
    high: float
    over: str
    count: int


@dataclass(frozen=True)
class Answer:
    """What is decided about one question in one configuration.

    Attributes:
        question: its code, such as "published" or "memory-cut".
        configuration: as in the tables; empty where there is one.
        status: "holds", "does not hold", "undecided" or "not measured".
        reason: a short code of why, such as "no-work" or "closer".
        numbers: the deciding numbers by name.
        labels: names that belong to the answer, such as that of the closest explanation.
        needs: what would decide an undecided question, such as {"seeds": 8}; empty otherwise.
        figure: the slug of the figure that shows it.
    """

    question: str
    configuration: str
    status: str
    reason: str = ""
    numbers: Mapping[str, Quantity] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, float] = field(default_factory=dict)
    figure: str = ""


@dataclass(frozen=True)
class Check:
    """Something that makes numbers less certain than they look.

    Attributes:
        code: stable, such as "HD001".
        configuration: as in the tables.
        count: how many measurements are concerned.
        of: out of how many.
        numbers: that say how badly.
    """

    code: str
    configuration: str
    count: int
    of: int
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Findings:
    """All that a report shows of a run or of a study; a run is a study of one cell.

    Attributes:
        name: what it is called.
        kind: "run" or "study".
        confidence: level of the intervals.
        about: of the problem: "summary", "headline", "groups".
        configurations: what is varied but for the seed, in the order of the cells.
        settings: the values that each setting has in some run, by dotted key.
        varied: dotted keys of what is varied, the seed included.
        choices: what was ours where the paper is silent.
        provenance: where the numbers come from.
        cells: a row per run.
        scale: how large it is: iterations, seeds, samples, probes, Monte-Carlo estimates.
        tables: the measurements, by name.
        verdict: every question with what is decided.
        checks: what makes numbers less certain.
        probes: datasets by cell; empty where the runs are gone.
        metrics: the lines of metrics.jsonl by cell, flattened; empty where the runs are gone.
    """

    name: str
    kind: str
    confidence: float
    about: Mapping[str, Any]
    configurations: tuple[str, ...]
    settings: Mapping[str, Any]
    varied: tuple[str, ...]
    choices: tuple[str, ...]
    provenance: Mapping[str, Any]
    cells: pd.DataFrame
    scale: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    verdict: tuple[Answer, ...] = ()
    checks: tuple[Check, ...] = ()
    probes: Mapping[str, tuple[xr.Dataset, ...]] = field(default_factory=dict)
    metrics: Mapping[str, pd.DataFrame] = field(default_factory=dict)
