"""What is spent, in which order, how far it has come, and what is there when it is stopped."""

import io
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import hessdiag
from hessdiag import spectra
from hessdiag.api import progress
from hessdiag.api.progress import Watch
from tests.oracles.spectra import prescribed_matrix

SIZE = spectra.DENSE_LIMIT + 100
VALUES = np.concatenate([np.linspace(-0.1, 0.1, SIZE - 6), [-2, -1, 2, 4, 8, 16]])
MATRIX = jnp.asarray(prescribed_matrix(VALUES), jnp.float32)


def quadratic(params, matrix):
    return 0.5 * params["x"] @ matrix @ params["x"]


def measure(**options):
    return hessdiag.spectrum(quadratic, {"x": jnp.ones(SIZE)}, MATRIX, **options)


def assert_true(data):
    """What is there holds the truth."""
    assert abs(data.lowest - VALUES.min()) <= data.lowest_error or not data.converged
    assert abs(data.highest - VALUES.max()) <= data.highest_error or not data.converged
    nodes = data.ritz_value.values[np.isfinite(data.ritz_value.values)]
    errors = data.ritz_error.values[np.isfinite(data.ritz_value.values)]
    assert (np.abs(nodes[:, None] - VALUES).min(axis=1) <= errors).all()


@pytest.mark.parametrize("budget", [1, 7, 30, 60, 100, 200, 269, 272, 1000])
def test_no_more_than_the_budget_is_spent(budget):
    data = measure(budget=budget).dataset
    assert data.matvecs == data.spent.sum() <= budget
    assert_true(data)
    if budget >= 30:  # both ends come first
        assert data.converged
        assert data.spent.sel(part="ends") <= 40 or budget >= 272
    if budget >= 100:
        assert np.isfinite(data.trace_error)
        assert abs(data.trace - VALUES.sum()) <= 2 * data.trace_error
        assert data.sizes["start"] == 4
    assert ("short" in data.attrs) == (budget < 60)
    if budget >= 272:
        assert data.matvecs == 272


def test_starts_go_on_until_their_ends_have_converged():
    """An end inside a bulk takes more products than a density."""
    bulk = jnp.linspace(0, 1, 2000)
    operator = lambda _, entries: spectra.diagonal(entries)  # noqa: E731
    found = hessdiag.spectrum(quadratic, bulk, bulk, operator=operator, matvecs=20).dataset
    assert found.spent.sel(part="ends") == 80
    assert found.spent.sel(part="density") == 40
    assert not found.converged
    deep = hessdiag.spectrum(quadratic, bulk, bulk, operator=operator, matvecs=200).dataset
    assert deep.converged
    assert abs(deep.highest - 1) <= 1e-4
    assert found.ritz_value.shape == (4, 40)


def test_progress_is_told_after_every_product():
    told = []
    data = measure(**ALL, progress=lambda done, total: told.append((done, total)))
    done, totals = np.array(told).T
    assert (done[:-1] == np.arange(1, len(done))).all()
    assert (done <= totals).all()
    assert done[-1] == totals[-1] == data.dataset.matvecs


def test_a_small_problem_tells_too():
    told = []
    small = {"x": jnp.ones(100)}
    hessdiag.spectrum(quadratic, small, MATRIX[:100, :100], progress=lambda *at: told.append(at))
    assert told == [(64, 102), (100, 102), (101, 102), (102, 102), (102, 102)]


ALL = {"top": 2, "per_leaf": True}


@pytest.fixture(autouse=True)
def _interruptible():
    """As in a terminal: jobs in the background inherit that SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def in_all():
    return int(measure(**ALL).dataset.matvecs)


@pytest.mark.parametrize("after", [1, 30, 61, 130, 275, -1])
def test_what_is_there_when_it_is_interrupted_is_true(after, in_all):
    """By the signal of Ctrl-C; not one product more is spent."""
    after, spent = after % in_all, 0

    def stop(done, _total):
        nonlocal spent
        spent = done
        if done == after:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(hessdiag.SpectrumInterrupted, match=f"Stopped after {after} products") as at:
        measure(**ALL, progress=stop)
    assert isinstance(at.value, KeyboardInterrupt)
    assert spent == after
    data = at.value.result.dataset
    assert data.matvecs == after
    assert_true(data)
    assert data.converged == (after >= 120)
    assert np.isfinite(data.trace_error) == (after >= 130)
    assert ("top_value" in data) == (after == in_all - 1)
    assert at.value.result.alarms() == [data.attrs["short"]]
    assert np.isfinite(jax.jit(jnp.sum)(MATRIX))  # the device is free


def test_before_anything_is_measured_an_interruption_is_a_plain_one():
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as at:
        hessdiag.spectrum(quadratic, {"x": jnp.ones(100)}, MATRIX[:100, :100], progress=stop)
    assert type(at.value) is KeyboardInterrupt


@pytest.fixture
def screen(monkeypatch):
    """A terminal, as standard error of `progress`."""
    text = io.StringIO()
    terminal = lambda **_: Console(file=text, force_terminal=True, width=120)  # noqa: E731
    monkeypatch.setattr(progress, "Console", terminal)
    return text


def test_a_bar_is_shown_where_it_takes_long(screen, monkeypatch):
    with Watch(100) as quick:
        quick.note(3)
    assert screen.getvalue() == ""
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with Watch(100) as slow:
        slow.show(np.array([-1.5, 2.0]), np.array([1e-3, 1e-5]))
        slow.note(3)
    assert "3/100" in screen.getvalue()
    assert "ends -1.5 ± 1e-03, 2 ± 1e-05" in screen.getvalue()


@pytest.mark.parametrize("tell", [False, max])
def test_no_bar_where_none_is_wanted(screen, monkeypatch, tell):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with Watch(100, tell) as watch:
        watch.note(3)
    assert screen.getvalue() == ""


def test_no_bar_where_nobody_looks(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=text))
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with Watch(100) as watch:
        watch.note(3)
    assert text.getvalue() == ""
