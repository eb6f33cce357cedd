"""From what a user gives to the complete settings of a run, validated once.

Flag > TOML file > the problem's preset > the general preset. Errors name the setting, its value
and what is allowed.
"""

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hessdiag import problems
from hessdiag.declared import settings_of
from hessdiag.errors import UsageError
from hessdiag.inner import COUNTERFACTUALS, CUTS, inner_optimiser
from hessdiag.meta import ESTIMATORS, Options
from hessdiag.probes.explanations import explanations_at
from hessdiag.record.documents import dotted
from hessdiag.train.options import options_of
from hessdiag.train.settings import (
    DECLARED,
    PRESETS,
    Settings,
    constants,
    flatten,
    measured_horizon,
)

_TABLES: dict[str, Any] = {
    field.name: field.type
    for field in dataclasses.fields(Settings)
    if dataclasses.is_dataclass(field.type)
}

_NEEDED = (  # setting, value, the member that a problem has for it, and what it is without
    (
        "probe.operators",
        "semi-gradient",
        "inner_loss_with_targets",
        "which has no bootstrap targets",
    ),
    ("probe.also", "loss-terms", "inner_loss_terms", "whose inner loss has no terms"),
)

_DEEP = re.compile(r"(?:[\w\"'-]+\s*\.\s*){9}")  # keys that take minutes to be read


def read_toml(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, by dotted key.

    Raises:
        UsageError: the file cannot be read or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if _DEEP.search(text):
            raise ValueError("it is nested too deeply")
        return dotted(tomllib.loads(text))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--config: {path} cannot be read as TOML ({error})") from error


def resolve(flags: Mapping[str, Any], config: Path | None = None) -> Settings:
    """The complete settings of a run, from flags by dotted key and a TOML file.

    Raises:
        UsageError: anything unknown, of the wrong type or out of range.
    """
    given = (read_toml(config) if config else {}) | dict(flags)
    if given.get("train.rollouts") and "train.iterations" in given:
        flag = DECLARED["train.rollouts"]
        flag.refuse(given["train.rollouts"], f"without {DECLARED['train.iterations'].name}")
    env, preset = (
        DECLARED[key].checked(given.get(key, DECLARED[key].default)) for key in ("env", "preset")
    )
    factory = problems.factory(env)
    described = factory if hasattr(factory, "about") else problems.make(env, {})
    of_problem = settings_of(factory, "problem.")
    flat = flatten(Settings())
    flat |= dotted({"learning": dataclasses.asdict(described.learning)})
    flat |= {key: declared.default for key, declared in of_problem.items()}
    flat |= {**PRESETS[preset], **described.about.presets.get(preset, {}), **given}
    flat |= {key: declared.checked(flat[key]) for key, declared in of_problem.items()}
    settings = from_flat(flat)
    _check_own(settings)
    return settings


def from_flat(flat: Mapping[str, Any]) -> Settings:
    """Settings from dotted keys, validated.

    Raises:
        UsageError: an unknown key, a value of the wrong type or out of range.
    """
    top: dict[str, Any] = {"problem": {}}
    tables: dict[str, dict[str, Any]] = {name: {} for name in _TABLES}
    for key, value in flat.items():
        table, _, name = key.rpartition(".")
        if table == "problem":
            top["problem"][name] = value
        else:
            tables.get(table, top)[name] = _checked(key, value)
    settings = Settings(**top, **{name: kind(**tables[name]) for name, kind in _TABLES.items()})
    settings = _within_rollouts(settings)
    for key, holds, allowed in _rules(settings):
        if not holds:
            DECLARED[key].refuse(flatten(settings)[key], allowed)
    return settings


def _within_rollouts(settings: Settings) -> Settings:
    """With the iterations that the rollouts allow, if it is they that bound training."""
    allowed, train = settings.train.rollouts, settings.train
    if not allowed:
        return settings
    each = ESTIMATORS[settings.estimator](options_of(settings)).rollouts
    if allowed < each:
        DECLARED["train.rollouts"].refuse(allowed, f"0, or {each:,} (one iteration's) or more")
    train = dataclasses.replace(train, iterations=allowed // each)
    return dataclasses.replace(settings, train=train)


def _checked(key: str, value: Any) -> Any:
    if key not in DECLARED:
        table = key.rpartition(".")[0]
        alike = [name for name in DECLARED if name.rpartition(".")[0] == table]
        allowed = alike or [name for name in DECLARED if "." not in name]
        raise UsageError(f"{key}: no such setting; allowed: {', '.join(allowed)}")
    if key == "probe.counterfactuals" and value in ("all", ["all"]):
        return COUNTERFACTUALS
    return DECLARED[key].checked(value)


def _rules(settings: Settings) -> Iterator[tuple[str, bool, str]]:
    """What settings allow each other: a key, whether all is well, and else what is allowed."""
    estimator, full = settings.estimator, Settings.paths
    is_default = estimator == Settings.estimator
    yield "n", settings.n > 0 or is_default, f"1 or more with --estimator {estimator}"
    told = Options(cut=CUTS["no-memory"])  # but some estimators have paths of their own
    follows = settings.paths == full or (
        getattr(ESTIMATORS[estimator](told), "cut", None) == told.cut
    )
    yield "paths", follows, f"{full} with --estimator {estimator}"
    several = getattr(ESTIMATORS[estimator](Options(validations=2)), "validations", 1) == 2
    yield "validations", settings.validations == 1 or several, f"1 with --estimator {estimator}"
    low, high = settings.stable_interval
    yield "stable_interval", low < high, "two numbers, the lower one first"

    probe, last, longest = settings.probe, settings.train.iterations - 1, measured_horizon(settings)
    yield "probe.at", all(iteration <= last for iteration in probe.at), f"0 to {last}"
    ends = {1, longest}
    inside = all(1 <= horizon <= longest for horizon in probe.horizons)
    yield "probe.horizons", inside, f"1 to {longest}"
    whole = not probe.horizons or ends <= set(probe.horizons)
    yield "probe.horizons", whole, f"1, the base of every ratio, {longest}, and others between"
    samples, unrolls, most = probe.samples, probe.unrolls, probe.max_matvecs
    nested = probe.nested != 1 and probe.nested <= samples
    yield "probe.nested", nested, f"0, or 2 to {samples} (the samples)"
    yield "probe.unrolls", unrolls <= samples, f"{samples} (the samples) or fewer"
    few = probe.operator_unrolls <= unrolls
    yield "probe.operator_unrolls", few, f"{unrolls} (the unrolls) or fewer"
    yield "probe.min_matvecs", probe.min_matvecs <= most, f"{most} (probe.max_matvecs) or fewer"


def _check_own(settings: Settings) -> None:
    """Refuse an optimiser, explanations or a problem that cannot be made, or go together."""
    learning = settings.learning
    inner_optimiser(learning.optimiser, learning.learning_rate, **constants(learning))
    explanations_at(settings.probe.explanations)
    problem = problems.make(settings.env, settings.problem)
    for key, value, member, lacks in _NEEDED:
        asked = getattr(settings.probe, key.rpartition(".")[2])
        if value in asked and not hasattr(problem, member):
            raise UsageError(
                f"{DECLARED[key].name}: {value} is not allowed with --env {settings.env}, "
                f"{lacks}; allowed: the others"
            )
