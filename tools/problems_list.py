"""Prints hessdiag/problems/list.txt, made from the built-in problems."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax

from hessdiag import problems
from hessdiag.meta.system import named_entries


def text() -> str:
    """Every problem with its settings and meta-parameters, and how others are named."""
    built_in = (line for name in problems.BUILT_IN for line in _lines(name))
    others = (
        f"{library}:NAME: A2C in an environment of {library}, such as Snake's"
        for library in problems.LIBRARIES
    )
    return "\n".join([*built_in, *others, "your own: hessdiag run --env module:factory"])


def _lines(name: str) -> Iterator[str]:
    problem = problems.make(name, {})
    yield f"{name}: {problem.about.summary}"
    for key, default in problems.settings_of(name).items():
        yield f"    problem.{key} = {default!r}"
    for key, default in dataclasses.asdict(problem.learning).items():
        yield f"    learning.{key} = {default!r}"
    yield f"    meta-parameters: {_starts(problem)}"


def _starts(problem: Any) -> str:
    """Names and first values of meta-parameters, or of how many there are too many to read."""
    parameters = getattr(problem, "meta_parameters", None)
    if parameters is not None:
        named = {parameter.name: parameter.start for parameter in parameters}
    else:
        eta = problem.init_eta(jax.random.key(0))
        named = named_entries(eta)
        if not named:
            return f"{sum(leaf.size for leaf in jax.tree.leaves(eta))}, in tables"
    return ", ".join(f"{name} = {value:g}" for name, value in named.items())


if __name__ == "__main__":
    print(text())
