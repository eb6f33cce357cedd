"""Work beside the run."""

import threading

import pytest
from hessdiag.cli.display import Aside  # pyright: ignore[reportMissingImports]


def test_requests_meanwhile_are_one_more_round():
    """The first is at work while three come: the work is done twice, the second time after them."""
    may_end, begun, seen = threading.Event(), threading.Event(), []
    requests = 0

    def work():
        seen.append(requests)
        begun.set()
        may_end.wait(10)

    aside = Aside(work)
    for _ in range(4):
        requests += 1
        aside.request()
        assert begun.wait(10)
    may_end.set()
    aside.wait()
    aside.check()
    assert seen == [1, 4]


def test_what_the_work_raised_is_raised_at_the_end():
    aside = Aside(lambda: 1 / 0)
    aside.request()
    aside.wait()
    with pytest.raises(ZeroDivisionError):
        aside.check()


def test_without_a_request_nothing_is_done():
    aside = Aside(lambda: 1 / 0)
    aside.wait()
    aside.check()
