"""Numbers as text: rounded by their error, never further."""

import math

MISSING = "–"
_MINUS = "−"
_MOST_DIGITS = 7
_FINEST_PLACE = -5  # beyond this decimal an exponent reads better
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def plain(value: float | None, *, digits: int = 3) -> str:
    """A number at a fixed count of significant digits, `0.0123` or `1.23e−5`."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    if value == 0:
        return "0"
    if _scientific(value):
        return _tidy(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - _exponent(value))
    return _tidy(f"{value:.{decimals}f}")


def with_error(value: float | None, error: float | None) -> str:
    """A number and its error, `1.230e−5 ± 4e−8`.

    The error is rounded up to one digit, two where it starts with 1; the value to the same place.
    """
    if value is None or not math.isfinite(value):
        return plain(value)
    if error is None or not math.isfinite(error):
        return f"{plain(value)} ± {'∞' if error == math.inf else '?'}"
    if error <= 0:
        return f"{plain(value, digits=4)} ± 0"
    error, place = _round_up(error)
    if _scientific(value or error) or place < _FINEST_PLACE:
        digits = _clamp((_exponent(value) if value != 0 else place) - place)
        error_digits = _clamp(_exponent(error) - place)
        shown = _tidy(f"{value:.{digits}e}") if value != 0 else "0"
        return f"{shown} ± {_tidy(f'{error:.{error_digits}e}')}"
    decimals = max(0, -place)
    return f"{_tidy(f'{value:.{decimals}f}')} ± {_tidy(f'{error:.{decimals}f}')}"


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """A number and its interval, `4.61 [4.02, 5.30]`."""
    if value is None or math.isnan(value):
        return MISSING
    return f"{plain(value)} [{plain(low)}, {plain(high)}]"


def factor(value: float | None) -> str:
    """A factor, `8.0×`: two digits, three where it lies within a twentieth of one."""
    if value is None or not math.isfinite(value):
        return plain(value)
    digits = 3 if 0.95 < abs(value) < 1.05 else 2
    shown = _tidy(f"{value:.0f}") if 99.5 <= abs(value) < 1e5 else plain(value, digits=digits)
    return f"{shown}×"


def interval(low: float | None, high: float | None, *, digits: int = 2) -> str:
    """An interval alone, `[6.5, 9.8]`; nothing where neither end is known.

    Of one so narrow that its ends read the same, up to four more digits are shown.
    """
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    more = (d for d in range(digits, digits + 5) if plain(low, digits=d) != plain(high, digits=d))
    digits = next(more, digits) if low != high else digits
    return f"[{plain(low, digits=digits)}, {plain(high, digits=digits)}]"


def percent(share: float | None) -> str:
    """A share in percent: whole from ten on, else to two digits."""
    if share is None or not math.isfinite(share):
        return plain(share)
    hundredths = 100 * share
    if abs(hundredths) >= 9.95 or hundredths == 0:
        return f"{round(hundredths)} %".replace("-", _MINUS)
    return f"{plain(hundredths, digits=1 if abs(hundredths) < 1 else 2)} %"


def share(value: float | None, low: float | None, high: float | None) -> str:
    """A share: `48 % [42, 54]`, `at least 46 %` if an end is no share, `undecided` if both."""
    if value is None or math.isnan(value):
        return MISSING
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return percent(min(max(value, 0.0), 1.0))
    if low <= 0 and high >= 1:
        return "undecided"
    if value < 0 and high <= 0:
        return "none"
    if high > 1:
        return f"at least {percent(low)}"
    if low < 0:
        return f"at most {percent(high)}"
    return f"{percent(value)} [{100 * low:.0f}, {100 * high:.0f}]"


def tick(value: float, _position: int | None = None) -> str:
    """An axis label without mathematical markup: `0.5`, `10⁻³`, `2×10⁻⁵`."""
    if value == 0:
        return "0"
    if 0.999e-3 < abs(value) < 1e5:
        return f"{value:g}".replace("-", _MINUS)
    mantissa, exponent = f"{abs(value):.3e}".split("e")
    sign = _MINUS if value < 0 else ""
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return f"{sign}{power}" if float(mantissa) == 1 else f"{sign}{float(mantissa):g}×{power}"


def power_tick(value: float, _position: int | None = None) -> str:
    """An axis label for decades: `1`, `10`, `0.1`, and powers of ten beyond."""
    if value == 0 or 0.05 < abs(value) < 500:
        return tick(value)
    exponent = round(math.log10(abs(value)))
    if not math.isclose(abs(value), 10.0**exponent):
        return tick(value)
    return f"{_MINUS if value < 0 else ''}10{str(exponent).translate(_SUPERSCRIPTS)}"


def _scientific(value: float) -> bool:
    return not 1e-3 <= abs(value) < 1e5


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _round_up(error: float) -> tuple[float, int]:
    exponent = _exponent(error)
    place = exponent - 1 if error / 10.0**exponent < 2 else exponent
    return math.ceil(error / 10.0**place - 1e-9) * 10.0**place, place


def _clamp(digits: int) -> int:
    return min(max(digits, 0), _MOST_DIGITS - 1)


def _tidy(text: str) -> str:
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}" if int(exponent) else mantissa
    return text.replace("-", _MINUS)
