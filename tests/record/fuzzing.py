"""Files that nothing has written, for every reader: it may only return, or refuse in one line."""

import copy
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hessdiag.analysis import findings
from hessdiag.analysis.results import from_document
from hessdiag.bias.measure import labelled
from hessdiag.bias.plan import planned
from hessdiag.bias.study import said_of
from hessdiag.errors import UsageError
from hessdiag.record.digests import KEY, sealed
from hessdiag.record.documents import dotted, last_record, read_document, read_lines, understood
from hessdiag.record.run_directory import RunDirectory, read_run
from hessdiag.record.study_directory import CellStatus, StudyDirectory
from hessdiag.record.sweep_directory import SweepDirectory
from hessdiag.study.grid import Grid
from hessdiag.train.presets import from_flat, read_toml, resolve
from tests.bias.test_plan import document as plan_document

REPORTS = Path(__file__).parents[2] / "reports"
SLOW = 5.0  # seconds that no input may take
WORDS = (b"null", b"-0", b"1e999", b"NaN", b"9" * 30, b"9" * 5000, b"\xff", b"\x00", b"\\ud800")
WORDS += (b"[" * 2000, b'{"":' * 2000, b'"', b"\n", b"true", b"{}", b"[]", b"\x1b[2J", b"a.b.c")
VALUES: tuple[Any, ...] = (None, True, 0, -1, 2**70, 10**400, 1e308, -1e-308, "", "\x1b]0;x\x07")
VALUES += ("<script>", "../../x", "\ud800", [], [[]], {}, {"": None}, [None], "a" * 3000, "9")
TOML = b"""env = "mrp"
n = 2
seed = 3
kappa = 0.5
[train]
iterations = 6
[probe]
at = [1, 3]
operators = ["augmented"]
[problem]
batch_size = 3
[learning]
optimiser = "sgd"
"""


def bytes_of(content: bytes, rng: random.Random) -> bytes:
    """A file with some of its bytes flipped, cut, doubled or replaced by words."""
    held = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        first = rng.randrange(len(held) + 1)
        last = min(len(held), first + rng.choice((0, 1, 2, 10, 200)))
        kind = rng.randrange(5)
        if kind == 0 and held:
            held[rng.randrange(len(held))] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del held[first:last]
        elif kind == 2:
            held[first:first] = held[first:last]
        elif kind == 3:
            held[first:last] = rng.choice(WORDS)
        else:
            del held[first:]
    return bytes(held)


def values_of(document: Any, rng: random.Random) -> Any:
    """A document with some of its values replaced, removed or moved; its digest is right."""
    held = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = held
        while isinstance(at, dict | list) and at:
            key = rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
            inner: Any = at[key]  # pyright: ignore[reportArgumentType, reportCallIssue]
            if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
                at = inner
                continue
            if rng.random() < 0.25:
                del at[key]  # pyright: ignore[reportArgumentType, reportCallIssue]
            else:
                at[key] = copy.deepcopy(rng.choice(VALUES))  # pyright: ignore
            break
    return held


def as_file(document: Any) -> bytes:
    """As JSON, with the digest that belongs to it, if it had one."""
    if isinstance(document, dict) and KEY in document:
        document = sealed(document)
    return json.dumps(document).encode()


class Readers:
    """Every reader, on files in a folder: name → (the file that is harmed, what reads it)."""

    def __init__(self, folder: Path, run: Path):
        self.run, self.study = folder / "run", folder / "study"
        self._toml = folder / "x.toml"
        _copy(run, self.run)
        (self.study / "cells").mkdir(parents=True)
        for name in ("study.json", "results.json"):
            (self.study / name).write_bytes((REPORTS / "fig4" / name).read_bytes())
        self._toml.write_bytes(TOML)
        self.cells, self.bias = _study_of(folder / "cells", self.run), _study_of_bias(folder)
        (note,) = (self.bias / "cells").glob("*.json")
        (point,) = {*note.parent.glob("*.nc")} - {note.with_suffix(".nc")}
        self.all: Mapping[str, tuple[Path, Callable[[], object]]] = {
            "config.json": (self.run / "config.json", self._config),
            "summary.json": (self.run / "summary.json", self._summary),
            "metrics.jsonl": (self.run / "metrics.jsonl", self._lines),
            "study.json": (self.study / "study.json", self._study),
            "results.json": (self.study / "results.json", self._results),
            "TOML": (self._toml, lambda: resolve({}, self._toml)),
            "TOML alone": (self._toml, lambda: read_toml(self._toml)),
            "whole run": (self.run / "config.json", lambda: findings(self.run)),
            "whole run by its summary": (self.run / "summary.json", lambda: findings(self.run)),
            "whole study": (self.cells / "study.json", lambda: findings(self.cells)),
            "study of bias": (self.bias / "study.json", self._bias),
            "point of it": (point, lambda: findings(self.bias)),
            "note of a point": (note, lambda: findings(self.bias)),
            "probe": (next(self.run.glob("probes/*.nc")), lambda: read_run(self.run)),
        }

    def _config(self) -> None:
        config = RunDirectory(self.run).config("settings", "meta_parameters", "problem")
        if isinstance(config["settings"], dict):
            from_flat(dotted(config["settings"]))

    def _summary(self) -> None:
        CellStatus.of(RunDirectory(self.run).summary())
        RunDirectory(self.run).config()

    def _lines(self) -> None:
        file = self.run / "metrics.jsonl"
        last_record(file)
        for _ in read_lines(file):
            pass

    def _study(self) -> None:
        document = StudyDirectory(self.study).document
        [StudyDirectory(self.study).status_of(cell["slug"]) for cell in document["cells"]]

    def _bias(self) -> None:
        document = SweepDirectory(self.bias).document
        with understood(self.bias / "study.json"):
            planned(document["plan"], document["plan"].get("changes"))
        findings(self.bias)

    def _results(self) -> None:
        file = self.study / "results.json"
        document = read_document(file, "tables", "cells", "about", "provenance")
        with understood(file):
            from_document(document)


def _copy(run: Path, copied: Path) -> None:
    """A run's files that are read, without the record that would refuse them first."""
    (copied / "probes").mkdir(parents=True)
    for name in ("config.json", "summary.json", "metrics.jsonl"):
        lines = (run / name).read_bytes().splitlines(keepends=True)
        (copied / name).write_bytes(b"".join(lines[:12] if name == "metrics.jsonl" else lines))
    file = next((run / "probes").glob("*.nc"))
    (copied / "probes" / file.name).write_bytes(file.read_bytes())
    summary = json.loads((copied / "summary.json").read_bytes())
    summary.pop("record", None)
    (copied / "summary.json").write_bytes(as_file(summary))


def _study_of(path: Path, run: Path) -> Path:
    """A study whose one cell is this run."""
    settings = dotted(json.loads((run / "config.json").read_bytes())["settings"])
    grid = Grid(settings, {"seed": [settings.pop("seed")]})
    study = StudyDirectory.create(path, grid, {"command": "hessdiag study"})
    shutil.copytree(run, study.run_path(grid.cells()[0]))
    return path


def _study_of_bias(folder: Path) -> Path:
    """One of which two points are measured; one has no note, which would refuse it first."""
    plan = planned(plan_document(), {})
    made = SweepDirectory.create(folder / "bias", plan.document, said_of(plan), {}, name="bias")
    drawn = np.random.default_rng(0).standard_normal((3, 8, 2))
    for point in plan.points()[:2]:
        dataset = labelled(drawn, np.zeros((3, 2))).assign_attrs(sweep=point.sweep, at=point.at)
        made.write(point.slug, dataset)
    (made.path / "cells" / f"{plan.points()[0].slug}.json").unlink()
    return made.path


def survey(
    file: Path, read: Callable[[], object], rng: random.Random, *, count: int, seconds: float
) -> tuple[Counter, list[str]]:
    """What comes of so many inputs, or of those that fit in the time; and what went wrong."""
    content, wrong, counts = file.read_bytes(), [], Counter()
    document = json.loads(content) if file.suffix == ".json" else None
    read()
    end = time.monotonic() + seconds
    while counts.total() < count and time.monotonic() < end:
        by_value = document is not None and rng.random() < 0.5
        harmed = as_file(values_of(document, rng)) if by_value else bytes_of(content, rng)
        file.write_bytes(harmed)
        began = time.monotonic()
        try:
            read()
            what = "read"
        except UsageError as error:
            what = "refused" if "\n" not in str(error) else "more than a line"
        except Exception as error:
            what = "traceback"
            wrong.append(f"{type(error).__name__}: {str(error)[:150]}")
        if time.monotonic() - began > SLOW:
            what = "slow"
        counts[what] += 1
    file.write_bytes(content)
    return counts, wrong
