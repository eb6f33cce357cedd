import pytest
from hessdiag.cli.pace import RECENT, Pace  # pyright: ignore[reportMissingImports]


class _Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def _train(pace: Pace, clock: _Clock, until: int, *, seconds: float, first: int = 1) -> None:
    for done in range(first, until + 1):
        clock.now += seconds
        pace.note("training", done)


def test_nothing_is_known_before_the_second_iteration(clock):
    pace = Pace(10, (), clock=clock)
    pace.note("compiling", 0)
    clock.now += 60.0
    pace.note("training", 1)
    assert (pace.rate, pace.seconds_left, pace.text()) == (None, None, "")


def test_compiling_does_not_count(clock):
    pace = Pace(10, (), clock=clock)
    pace.note("compiling", 0)
    clock.now += 60.0
    _train(pace, clock, 4, seconds=0.5)
    assert pace.rate == pytest.approx(2.0)
    assert pace.seconds_left == pytest.approx(3.0)
    assert pace.text() == "2.00 it/s, 0:03 left"


def test_the_time_left_is_unknown_until_a_probe_was_made(clock):
    pace = Pace(10, (3, 6), clock=clock)
    _train(pace, clock, 2, seconds=0.5)
    assert pace.seconds_left is None
    assert pace.text() == "2.00 it/s"


def test_probes_count_apart_from_iterations(clock):
    pace = Pace(100, (3, 6, 50), clock=clock)
    _train(pace, clock, 3, seconds=0.5)
    for done in range(4):
        pace.note("probing", done)
        clock.now += 10.0
    assert pace.seconds_left is None  # the first probe is under way
    pace.note("training", 4)  # the probe and one iteration took 40 s
    assert pace.rate == pytest.approx(2.0)
    assert pace.seconds_left == pytest.approx(96 * 0.5 + 2 * 40.0)


def test_a_probe_under_way_counts_by_what_is_left_of_it(clock):
    pace = Pace(10, (1, 3), clock=clock)
    _train(pace, clock, 1, seconds=0.5)
    pace.note("probing", 0)
    clock.now += 20.0
    _train(pace, clock, 3, seconds=0.5, first=2)
    pace.note("probing", 0)
    left = pace.seconds_left
    assert left is not None
    clock.now += 5.0
    assert pace.seconds_left == pytest.approx(left - 5.0)
    clock.now += 100.0  # longer than the one before: never less than the iterations
    assert pace.seconds_left == pytest.approx(7 * 0.5)


def test_only_recent_iterations_count(clock):
    pace = Pace(1000, (), clock=clock)
    _train(pace, clock, 50, seconds=9.0)
    _train(pace, clock, 50 + RECENT, seconds=0.25, first=51)
    assert pace.rate == pytest.approx(4.0)


def test_one_slow_iteration_does_not_change_the_rate(clock):
    pace = Pace(100, (), clock=clock)
    _train(pace, clock, 10, seconds=0.5)
    _train(pace, clock, 11, seconds=30.0, first=11)
    assert pace.rate == pytest.approx(2.0)


def test_a_resumed_run_counts_what_is_left(clock):
    pace = Pace(100, (10,), clock=clock)
    _train(pace, clock, 92, seconds=2.0, first=90)
    assert pace.seconds_left == pytest.approx(16.0)
    assert pace.text() == "0.50 it/s, 0:16 left"


def test_minutes_have_two_digits_of_seconds(clock):
    pace = Pace(130, (), clock=clock)
    _train(pace, clock, 5, seconds=1.0)
    assert pace.text() == "1.00 it/s, 2:05 left"


def test_several_iterations_at_once(clock):
    """The rate is of iterations, and so is what is left."""
    pace = Pace(100, (), clock=clock)
    for done in (10, 20, 27):
        clock.now += 0.5 * (done - (done - 1) // 10 * 10)
        pace.note("training", done)
    assert pace.rate == pytest.approx(2.0)
    assert pace.seconds_left == pytest.approx(73 * 0.5)
