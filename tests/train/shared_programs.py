"""Runs of one configuration share what they compile, as the seeds of a study do."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from hessdiag.train import launch, run
from hessdiag.train.learner import Learner
from hessdiag.train.probe import probe_of
from hessdiag.train.settings import Settings


def by_configuration(make: Callable[..., Any]) -> Callable[..., Any]:
    """Makes one for all settings that differ by their seed alone; they come last."""
    made = {}

    def shared(*arguments, **options):
        settings: Settings = arguments[-1]
        key = repr((dataclasses.replace(settings, seed=0), options))
        if key not in made:
            made[key] = make(*arguments, **options)
        return made[key]

    return shared


LEARNER, PROBE_OF = by_configuration(Learner), by_configuration(probe_of)


@pytest.fixture(scope="package", autouse=True)
def shared_programs():
    with pytest.MonkeyPatch.context() as patch:
        for module in (launch, run):
            patch.setattr(module, "Learner", LEARNER)
        patch.setattr(run, "probe_of", PROBE_OF)
        yield


@pytest.fixture
def fresh_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in another process: nothing is shared."""
    monkeypatch.setattr(run, "Learner", Learner)
    monkeypatch.setattr(run, "probe_of", probe_of)
