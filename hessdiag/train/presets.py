"""Where defaults come from: flag > TOML file > the problem's preset > the general preset."""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hessdiag import problems
from hessdiag.declared import settings_of
from hessdiag.errors import UsageError
from hessdiag.inner import inner_optimiser
from hessdiag.probes.explanations import explanations_at
from hessdiag.record.documents import dotted
from hessdiag.train.settings import DECLARED, PRESETS, Settings, constants, flatten
from hessdiag.train.validation import from_flat


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
    env, preset = (
        DECLARED[key].checked(given.get(key, DECLARED[key].default)) for key in ("env", "preset")
    )
    about, learning = _of_problem(env)
    of_problem = settings_of(problems.factory(env), "problem.")
    flat = flatten(Settings())
    flat |= {f"learning.{key}": value for key, value in dataclasses.asdict(learning).items()}
    flat |= {key: declared.default for key, declared in of_problem.items()}
    flat |= {**PRESETS[preset], **about.presets.get(preset, {}), **given}
    flat |= {key: declared.checked(flat[key]) for key, declared in of_problem.items()}
    settings = from_flat(flat)
    _check_own(settings)
    return settings


def _check_own(settings: Settings) -> None:
    """Refuse an optimiser, explanations or a problem that cannot be made, or go together."""
    learning = settings.learning
    inner_optimiser(learning.optimiser, learning.learning_rate, **constants(learning))
    explanations_at(settings.probe.explanations)
    problem = problems.make(settings.env, settings.problem)
    targets = hasattr(problem, "inner_loss_with_targets")
    if "semi-gradient" in settings.probe.operators and not targets:
        raise UsageError(
            f"{DECLARED['probe.operators'].name}: semi-gradient is not allowed with --env "
            f"{settings.env}, which has no bootstrap targets; allowed: the others"
        )


def _of_problem(env: str):
    """Texts and learning settings of a problem, which do not depend on its settings."""
    made = problems.factory(env)
    source = made if hasattr(made, "about") else problems.make(env, {})
    return source.about, source.learning
