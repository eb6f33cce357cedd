"""Where defaults come from: flag > TOML file > the problem's preset > the general preset."""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.probes.explanations import explanations_at
from hessdiag.train.settings import Settings, dotted, flatten
from hessdiag.train.validation import cast_to, from_flat

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "smoke": {"train.iterations": 40, "probe.points": 3, "probe.samples": 8},
    "laptop": {},
    "paper": {
        "train.iterations": 100_000,
        "probe.points": 300,
        "probe.samples": 96,
        "probe.chunk": 4,
        "probe.max_matvecs": 80,
    },
}


def read_toml(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, by dotted key.

    Raises:
        UsageError: the file cannot be read or is not TOML.
    """
    try:
        return dotted(tomllib.loads(path.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config: {path} cannot be read as TOML ({error})") from error


def resolve(flags: Mapping[str, Any], config: Path | None = None) -> Settings:
    """The complete settings of a run.

    Args:
        flags: settings given on the command line, by dotted key.
        config: a TOML file.

    Raises:
        UsageError: anything unknown, of the wrong type or out of range.
    """
    given = (read_toml(config) if config else {}) | dict(flags)
    defaults = Settings()
    env = cast_to(str, "env", given.get("env", defaults.env))
    preset = cast_to(str, "preset", given.get("preset", defaults.preset))
    if preset not in PRESETS:
        raise UsageError(f"--preset: {preset!r} is unknown; allowed: {', '.join(PRESETS)}")
    about, learning = _of_problem(env)
    flat = flatten(defaults)
    flat |= {f"learning.{key}": value for key, value in dataclasses.asdict(learning).items()}
    of_problem = {f"problem.{key}": value for key, value in problems.settings_of(env).items()}
    flat |= of_problem | dict(PRESETS[preset]) | dict(about.presets.get(preset, {})) | given
    flat |= {key: cast_to(type(value), key, flat[key]) for key, value in of_problem.items()}
    settings = from_flat(flat | {"preset": preset})
    explanations_at(settings.probe.explanations)  # refuses what cannot be found
    problem = problems.make(settings.env, settings.problem)  # refuses what it does not allow
    if "semi-gradient" in settings.probe.operators and not hasattr(
        problem, "inner_loss_with_targets"
    ):
        raise UsageError(
            f"--operators: semi-gradient is not allowed with --env {settings.env}, which has no "
            "bootstrap targets; allowed: the others"
        )
    return settings


def _of_problem(env: str):
    """Texts and learning settings of a problem, which do not depend on its settings."""
    made = problems.factory(env)
    source = made if hasattr(made, "about") else problems.make(env, {})
    return source.about, source.learning
