import gc
import weakref

import pytest

from hessdiag.api.programs import NUM_KEPT, kept


class Made:
    def __init__(self, *arguments):
        self.arguments = arguments


def test_the_last_few_are_kept_and_the_rest_let_go():
    make = kept(Made)
    first = make("a", 0)
    assert make("a", 0) is first
    assert make("a", 1) is not first
    gone = weakref.ref(first)
    del first
    for index in range(NUM_KEPT):
        make("b", index)
    gc.collect()
    assert gone() is None
    assert make("b", NUM_KEPT - 1) is make("b", NUM_KEPT - 1)


def test_what_cannot_be_hashed_is_made_anew():
    make = kept(Made)
    assert make(["a"]) is not make(["a"])
    assert make(["a"]).arguments == (["a"],)


def test_errors_of_the_making_are_its_own():
    calls = 0

    def fails(_):
        nonlocal calls
        calls += 1
        raise TypeError("its own")

    make = kept(fails)
    for _ in range(2):
        with pytest.raises(TypeError, match="its own"):
            make("a")
    assert calls == 2
