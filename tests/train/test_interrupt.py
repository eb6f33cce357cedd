import os
import signal

import pytest

from hessdiag.train.interrupt import Interrupted, StopRequest


@pytest.mark.parametrize("number", StopRequest.SIGNALS)
def test_a_signal_is_heeded_at_the_next_check(number):
    with StopRequest() as stop:
        stop.check()
        os.kill(os.getpid(), number)
        assert stop.signal_number == number
        with pytest.raises(Interrupted, match=f"stopped by {signal.Signals(number).name}") as made:
            stop.check()
    assert made.value.signal_number == number


@pytest.fixture
def python_handles_sigint():
    """As in a program that a terminal started; one in the background may ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_handles_sigint")
def test_a_second_signal_acts_at_once():
    with StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in StopRequest.SIGNALS]
    with StopRequest():
        assert [signal.getsignal(number) for number in StopRequest.SIGNALS] != before
    assert [signal.getsignal(number) for number in StopRequest.SIGNALS] == before
