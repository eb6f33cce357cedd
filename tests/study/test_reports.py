"""When the reports of a study are made, and what becomes of one that cannot be made."""

from pathlib import Path

import pytest

from hessdiag.study.reports import SECONDS_APART, Reports
from hessdiag.train.interrupt import Interrupted


class Watched:
    """Reports that are counted, with a clock that is set by hand."""

    def __init__(self, seconds=3.0):
        self.now, self._seconds = 1000.0, seconds
        self.made = []
        self.said = []
        self.error: Exception | None = None
        self.reports = Reports(
            self._make, lambda: self._make("study"), self.said.append, clock=lambda: self.now
        )
        self.reports.of_study(at_once=True)

    def _make(self, what) -> None:
        self.now += self._seconds
        self.made.append(what)
        if self.error:
            raise self.error


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_that_of_the_study_is_made_at_most_once_a_minute(watched):
    for seconds, made in ((SECONDS_APART - 1.0, 1), (1.0, 2), (SECONDS_APART - 1.0, 2), (1.0, 3)):
        watched.now += seconds
        watched.reports.note()
        watched.reports.of_study(at_once=False)
        assert len(watched.made) == made


def test_a_slow_one_takes_a_tenth_of_the_time_at_the_most():
    """One that takes half a minute is made every five minutes."""
    watched = Watched(30.0)
    for seconds, made in ((299.0, 1), (1.0, 2), (299.0, 2), (1.0, 3)):
        watched.now += seconds
        watched.reports.note()
        watched.reports.of_study(at_once=False)
        assert len(watched.made) == made


def test_at_once_it_is_made_if_it_has_something_to_tell(watched):
    watched.reports.of_study(at_once=True)
    assert len(watched.made) == 1
    watched.reports.note()
    watched.reports.of_study(at_once=True)
    assert len(watched.made) == 2


def test_one_that_cannot_be_made_is_said_and_missing_until_it_is_made(watched):
    watched.error = KeyError("growth")
    watched.reports.of_cell("n=1", Path("run"))
    watched.reports.note()
    watched.reports.of_study(at_once=True)
    assert watched.said == [
        f"the report of {name} could not be made (KeyError: 'growth')"
        for name in ("n=1", "the study")
    ]
    assert watched.reports.missing == {"n=1", "the study"}
    watched.error = None
    watched.reports.of_cell("n=1", Path("run"))
    assert watched.reports.missing == {"the study"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), Interrupted(2)])
def test_what_ends_the_study_ends_it_there_too(watched, error):
    watched.error = error
    with pytest.raises(type(error)):
        watched.reports.of_cell("n=1", Path("run"))
    assert watched.said == []
