"""What a study of bias found: a row per point, a slope per curve, and every claim held to it."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.findings import FAILS, HOLDS, UNDECIDED, Answer, Findings, Quantity
from hessdiag.analysis.questions import Measured, answer
from hessdiag.record.sweep_directory import SweepDirectory
from hessdiag.statistics import Estimate, Interval, power_law

CONFIDENCE = 0.95
QUANTITIES = ("bias", "variance", "std", "correlation")
FITTED = QUANTITIES[:3]
ROUNDING = 1e-9  # relative errors below it are none
CHOICES = (
    "Estimates are drawn at the start of training, in double precision.",
    "Bias and variance are relative to the exact meta-gradient's norm, or its square; what "
    "sampling adds to the bias is taken off.",
    "Slopes are fitted to logarithms; a point whose interval reaches zero does not count, none "
    "counts more than one that is known to 2 %.",
)

Curve = dict[tuple[str, str], list[tuple[float, Mapping[str, Estimate]]]]
"""By sweep and name: places on the axis with what is measured there."""


def of_sweeps(path: Path) -> Findings:
    """What the study of bias in a directory found until now; not concluded yet.

    Raises:
        UsageError: study.json is missing or damaged.
    """
    directory = SweepDirectory.open(path)
    document = directory.document
    curves, cells, samples = _measured(directory, document["points"])
    plan, claims = document["plan"], document["plan"].get("claim", ())
    axes = {sweep["name"]: sweep["axis"] for sweep in plan["sweep"]}
    return Findings(
        name=str(document["name"]),
        kind="study",
        confidence=CONFIDENCE,
        about={"summary": plan.get("summary", ""), "headline": "", "followed": (), "groups": ()},
        configurations=tuple(claim["name"] for claim in claims),
        settings={},
        varied=tuple(dict.fromkeys(key for sweep in plan["sweep"] for key in sweep["vary"])),
        choices=CHOICES,
        provenance=document["provenance"],
        cells=pd.DataFrame(cells),
        scale={"iterations": (), "points": (), "samples": sorted(samples)},
        tables={
            "errors": pd.DataFrame(_error_rows(curves, axes)),
            "slopes": pd.DataFrame(_slope_rows(curves)),
            "claims": pd.DataFrame([_claim_row(claim, curves) for claim in claims]),
        },
    )


def claimed(of: Measured) -> Answer:
    """Whether a slope is what is claimed of it."""
    row = next(iter(of.rows.get("claims", ())), None)
    if row is None or not math.isfinite(row["slope_low"]):
        return answer()
    least, most = (_bound(row.get(name), sign) for name, sign in (("least", -1), ("most", 1)))
    low, high = row["slope_low"], row["slope_high"]
    slope = Quantity(row["slope"], low, high, "samples", int(row["points"]))
    if least <= low and high <= most:
        return answer(HOLDS, numbers={"slope": slope}, labels={"says": row["says"]})
    if high < least or low > most:
        return answer(FAILS, numbers={"slope": slope}, labels={"says": row["denies"]})
    return answer(UNDECIDED, "overlaps", numbers={"slope": slope}, labels={"says": row["says"]})


def _bound(value: Any, sign: int) -> float:
    """A bound on slopes, infinite where there is none."""
    return float(value) if value is not None and value == value else sign * math.inf


def _measured(
    directory: SweepDirectory, points: Mapping[str, Mapping[str, Any]]
) -> tuple[Curve, list[dict[str, Any]], Collection[int]]:
    """Curves, a row for every point, and the numbers of samples."""
    curves: Curve = {}
    cells, samples = [], set()
    for slug, said in points.items():
        dataset = directory.measured(slug)
        state = "waiting" if dataset is None else "finished"
        cells.append({"cell": slug, "configuration": said["curve"], "state": state})
        if dataset is not None:
            samples.add(dataset.sizes["sample"])
            place = (said["sweep"], said["curve"])
            curves.setdefault(place, []).append((float(said["at"]), _errors(dataset)))
    return curves, cells, samples


def _errors(dataset: xr.Dataset) -> dict[str, Estimate]:
    """By quantity, with the draws behind its interval."""
    names = map(str, dataset["quantity"].values)
    pairs = zip(dataset["error"].values, dataset["error_draws"].values, strict=True)
    return {
        name: Estimate(float(value), draws)
        for name, (value, draws) in zip(names, pairs, strict=True)
    }


def _error_rows(curves: Curve, axes: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for (sweep, name), points in curves.items():
        for at, quantities in sorted(points, key=lambda point: point[0]):
            row = {"configuration": name, "sweep": sweep, "axis": axes[sweep], "at": at}
            for quantity, estimate in quantities.items():
                low, high = estimate.interval(CONFIDENCE)
                row |= {quantity: estimate.value, f"{quantity}_low": low, f"{quantity}_high": high}
            yield row


def _slope_rows(curves: Curve) -> Iterator[dict[str, Any]]:
    for (sweep, name), points in curves.items():
        for quantity in FITTED:
            slope, number = _fitted(points, quantity, 0.0)
            row = {"configuration": name, "sweep": sweep, "quantity": quantity}
            yield row | _ends(slope) | {"points": number}


def _claim_row(claim: Mapping[str, Any], curves: Curve) -> dict[str, Any]:
    """A claim with the slope that it is about."""
    points = [
        point
        for (sweep, name), held in curves.items()
        if sweep == claim["sweep"] and _is_curve(name, claim.get("where", {}))
        for point in held
    ]
    slope, number = _fitted(points, claim["quantity"], float(claim.get("since", 0)))
    kept = ("sweep", "quantity", "least", "most", "says", "denies")
    row = {"configuration": claim["name"]} | {name: claim.get(name) for name in kept}
    return row | _ends(slope) | {"points": number}


def _is_curve(name: str, where: Mapping[str, Any]) -> bool:
    """Whether a curve's name, such as "estimator=lsf n=1", has these values."""
    words = {key: value for word in name.split(" ") for key, _, value in (word.partition("="),)}
    return all(words.get(key.rpartition(".")[2]) == str(value) for key, value in where.items())


def _fitted(points: Sequence[tuple[float, Any]], quantity: str, since: float) -> Any:
    points = [point for point in points if point[0] >= since and point[0] > 0]
    if not points:
        return Interval(*[np.array(np.nan)] * 3), 0
    held = [quantities[quantity] for _, quantities in points]
    if max(estimate.value for estimate in held) < ROUNDING:
        return Interval(*[np.array(np.nan)] * 3), 0  # of what is exact
    return power_law(
        np.array([at for at, _ in points]),
        np.array([estimate.value for estimate in held]),
        np.stack([estimate.draws for estimate in held]),
        confidence=CONFIDENCE,
    )


def _ends(slope: Interval) -> dict[str, float]:
    names = ("slope", "slope_low", "slope_high")
    return {name: float(end) for name, end in zip(names, slope, strict=True)}
