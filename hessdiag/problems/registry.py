"""Finding a problem by name: built in, or ``module:factory`` of the user's own."""

import dataclasses
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

from hessdiag.errors import UsageError
from hessdiag.problems.base import Problem

BUILT_IN = {
    "snake": "hessdiag.problems.snake:Snake",
    "mrp": "hessdiag.problems.mrp:MarkovRewardProcess",
    "bandit": "hessdiag.problems.bandit:Bandit",
    "tabular-maml": "hessdiag.problems.tabular_maml:TabularMAML",
    "lirpg": "hessdiag.problems.lirpg:LIRPG",
    "ipd": "hessdiag.problems.ipd:IteratedPrisonersDilemma",
    "chain": "hessdiag.problems.chain:DiscountingChain",
    "snake-outer": "hessdiag.problems.outer_snake:OuterSnake",
}


LIBRARIES = ("jumanji", "gymnax")
"""Whose environments are problems by their names, such as "jumanji:Maze-v0"."""


def is_own(name: str) -> bool:
    """Whether a name is of a user's code, to be imported."""
    return ":" in name and name.partition(":")[0] not in LIBRARIES


def factory(name: str) -> Callable[..., Problem]:
    """What makes the problem called `name`.

    A key of `BUILT_IN`, an environment of one of `LIBRARIES`, or ``module:factory``.

    Raises:
        UsageError: the name is unknown, or its module or factory cannot be imported.
    """
    library, _, environment = name.partition(":")
    if library in LIBRARIES:
        named = callable_at("hessdiag.problems.any_environment:named", flag="--env")
        return named(library, environment)
    if name not in BUILT_IN and ":" not in name:
        known = ", ".join((*BUILT_IN, *(f"{library}:NAME" for library in LIBRARIES)))
        raise UsageError(f"--env: {name!r} is unknown; allowed: {known}, or module:factory")
    return cast(Callable[..., Problem], callable_at(BUILT_IN.get(name, name), flag="--env"))


def callable_at(path: str, *, flag: str) -> Callable[..., Any]:
    """What stands at ``module:attribute``, importable from the current directory or Python's path.

    Raises:
        UsageError: it cannot be imported, or cannot be called; the message names the `flag`.
    """
    module, colon, attribute = path.partition(":")
    if not colon:
        raise UsageError(f"{flag}: {path!r} is not allowed; allowed: module:function")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        named = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a user's module may raise on import
        raise UsageError(
            f"{flag}: {path!r} could not be imported ({type(error).__name__}: {error})"
        ) from error
    if not callable(named):
        raise UsageError(f"{flag}: {path!r} is a {type(named).__name__}; allowed: a callable")
    return named


def settings_of(name: str) -> dict[str, Any]:
    """The settings of a problem with their defaults; empty for a factory without fields."""
    maker, missing = factory(name), dataclasses.MISSING
    defaults = {}
    for field in dataclasses.fields(maker) if dataclasses.is_dataclass(maker) else ():
        if field.default is not missing:
            defaults[field.name] = field.default
        elif field.default_factory is not missing:
            defaults[field.name] = field.default_factory()
    return defaults


def make(name: str, settings: Mapping[str, Any]) -> Problem:
    """The problem called `name`, made with the given settings.

    Raises:
        UsageError: see `factory`; or a setting is unknown to the problem or refused by it.
    """
    maker, allowed = factory(name), settings_of(name)
    for key in settings:
        if allowed and key not in allowed:
            raise UsageError(
                f"problem.{key}: {name!r} has no such setting; allowed: {', '.join(allowed)}"
            )
    try:
        problem = maker(**settings)
    except UsageError:
        raise
    except Exception as error:  # a user's factory
        raise UsageError(
            f"--env: {name!r} could not be made with {dict(settings)} "
            f"({type(error).__name__}: {error})"
        ) from error
    required = [member for member in vars(Problem) if not member.startswith("_")]
    missing = [member for member in required if not hasattr(problem, member)]
    if "start" in missing and hasattr(problem, "init"):
        raise UsageError(
            f"--env: {name!r} has the members of an earlier version; rename init(key) to "
            "start(eta, key), take hyper in rollout(params, hyper, env_state, key) and in "
            "outer_loss(params, hyper, trajectories), and inherit hessdiag.problems.NamedScalars"
        )
    if missing:
        raise UsageError(
            f"--env: {name!r} made a {type(problem).__name__} without {', '.join(missing)}; "
            "see hessdiag.problems.Problem"
        )
    return problem
