"""Single files that are damaged."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.faults.cases import (
    DERIVED,
    IN_PROCESS,
    KINDS,
    NEARLY,
    OUTCOMES,
    RECOVERED,
    UNHARMED,
    Case,
    alike,
    kind_of,
    nearly,
    outcome,
    results,
)


def flip(file: Path, other: Path, rng: random.Random) -> None:
    del other
    content = bytearray(file.read_bytes())
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def truncate(file: Path, other: Path, rng: random.Random) -> None:
    del other
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content))] if content else b"")


def delete(file: Path, other: Path, rng: random.Random) -> None:
    del other, rng
    file.unlink()


def exchange(file: Path, other: Path, rng: random.Random) -> None:
    del rng
    shutil.copyfile(other, file)


DAMAGES: tuple[Callable[[Path, Path, random.Random], None], ...] = (
    flip,
    truncate,
    delete,
    exchange,
)


def counterpart(file: Path, root: Path, elsewhere: Path, rng: random.Random) -> Path:
    """The same file of another run or study, or another one of the same kind."""
    there = elsewhere / file.relative_to(root)
    if there.is_file() and there.read_bytes() != file.read_bytes():
        return there
    others = [path for path in root.rglob(f"*{file.suffix}") if path.is_file() and path != file]
    return rng.choice(others or [file])


def harmed(path: Path, rng: random.Random) -> Path:
    """A file to damage: each kind of file as often, however many there are of it."""
    kinds: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("*")):
        parts = file.relative_to(path).parts
        if file.is_file() and not {*parts} & DERIVED:
            held = "checkpoints" in parts and file.suffix != ".json"
            kinds.setdefault("checkpoint" if held else file.suffix + file.name[:3], []).append(file)
    return rng.choice(kinds[rng.choice(sorted(kinds))])


def damages(folder: Path, count: int, rng: random.Random, call: Callable) -> Iterator[Case]:
    """One file is damaged, then the directory is shown, then gone on with."""
    bases = {}
    for kind, (typed, _) in KINDS.items():
        words = (*typed, *IN_PROCESS[kind])
        whole, other = folder / f"whole-{kind}", folder / f"other-{kind}"
        changed = (*words, "--set", "learning.learning_rate=0.002")
        assert call(*words, "--out", whole)[0] == call(*changed, "--out", other)[0] == 0
        copy = _copied(whole, folder / "harmed" / kind)
        bases[kind] = whole, other, results(whole), call("show", copy, "--full")
    for k in range(count):
        kind, damage = kind_of(k), DAMAGES[k // 3 % len(DAMAGES)]
        whole, other, expected, shown = bases[kind]
        copy = _copied(whole, folder / "harmed" / kind)
        file = harmed(copy, rng)
        damage(file, counterpart(file, copy, other, rng), rng)
        told, name = f"{damage.__name__} {file.relative_to(copy)}", f"{damage.__name__}, {kind}"
        code, out, err = call("show", copy, "--full")
        what = outcome(code, err, (code, out) == shown[:2], UNHARMED)
        yield Case(f"{name} shown", what, f"{told}: {err[-300:]}")
        code, _, err = call(KINDS[kind][0][0], "--resume", copy, "--quiet")
        found = results(copy)
        what = outcome(code, err, alike(found, expected), RECOVERED)
        if what == OUTCOMES[-2] and err and nearly(found, expected):
            what = NEARLY
        yield Case(f"{name} resumed", what, f"{told}: {err[-300:]}")


def _copied(whole: Path, copy: Path) -> Path:
    shutil.rmtree(copy, ignore_errors=True)
    return Path(shutil.copytree(whole, copy))
