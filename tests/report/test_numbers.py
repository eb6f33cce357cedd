import math

import pytest

from hessdiag.report.numbers import (
    factor,
    interval,
    percent,
    plain,
    power_tick,
    share,
    tick,
    with_error,
    with_interval,
)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.23e-5, 4e-8, "1.230e−5 ± 4e−8"),
        (-1.23456e-3, 4.2e-7, "−1.2346e−3 ± 5e−7"),
        (0.3141, 0.0123, "0.314 ± 0.013"),
        (12.34, 0.5, "12.3 ± 0.5"),
        (1234.0, 35.0, "1234 ± 40"),
        (3e-9, 4e-8, "3e−9 ± 4e−8"),
        (0.0, 4e-8, "0 ± 4e−8"),
        (1.5, 0.0, "1.500 ± 0"),
        (1.5, math.nan, "1.50 ± ?"),
        (1.5, math.inf, "1.50 ± ∞"),
        (math.nan, 1.0, "–"),
        (None, None, "–"),
        (math.inf, 1.0, "∞"),
    ],
)
def test_value_is_rounded_by_its_error(value: float | None, error: float | None, text: str) -> None:
    assert with_error(value, error) == text


@pytest.mark.parametrize("error", [1.01e-7, 1.99e-7, 2.01e-7, 9.99e-7, 1e-7])
def test_error_is_never_rounded_down(error: float) -> None:
    shown = with_error(1.234567e-5, error).split("± ")[1].replace("−", "-")
    assert error <= float(shown) * (1 + 1e-9)
    assert float(shown) <= 1.5 * error


@pytest.mark.parametrize(
    ("value", "text"),
    [(4.612, "4.61"), (0, "0"), (-2e-7, "−2.00e−7"), (123456.0, "1.23e5"), (None, "–")],
)
def test_plain(value: float | None, text: str) -> None:
    assert plain(value) == text


def test_interval() -> None:
    assert with_interval(4.612, 4.02, 5.3) == "4.61 [4.02, 5.30]"
    assert with_interval(math.nan, 0, 1) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.5"), (-2.0, "−2"), (1e-5, "10⁻⁵"), (-2e-5, "−2×10⁻⁵"), (0.002, "0.002")],
)
def test_tick(value: float, text: str) -> None:
    assert tick(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.01, "10⁻²"), (-1e4, "−10⁴"), (10.0, "10"), (0.02, "0.02")]
)
def test_power_tick(value: float, text: str) -> None:
    assert power_tick(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(7.96, "8.0×"), (0.741, "0.74×"), (1.0026, "1.00×"), (241.3, "241×"), (math.nan, "–")],
)
def test_factor(value: float, text: str) -> None:
    assert factor(value) == text


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((0.4828, 0.4233, 0.5423), "48 % [42, 54]"),
        ((0.9985, 0.4608, 1.5363), "at least 46 %"),
        ((0.01, -0.2, 0.2), "at most 20 %"),
        ((-0.2, -0.4, -0.1), "none"),
        ((0.5, -0.5, 1.5), "undecided"),
        ((0.0016, math.nan, math.nan), "0.2 %"),
        ((math.nan, 0, 1), "–"),
    ],
)
def test_share_of_a_whole_lies_between_none_and_all(ends: tuple, text: str) -> None:
    assert share(*ends) == text


def test_interval_and_percent() -> None:
    assert interval(6.4657, 9.8004) == "[6.5, 9.8]"
    assert interval(math.nan, 1.0) == ""
    assert [percent(value) for value in (0.48, 0.0012, 0.0, None)] == ["48 %", "0.1 %", "0 %", "–"]
