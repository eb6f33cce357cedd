import pytest
from hessdiag.cli.words import (  # pyright: ignore[reportMissingImports]
    growth_text,
    hyper_text,
    number,
    probe_text,
    radius_text,
    returns_text,
)

PROBE = {
    "growth": 2.5,
    "growth_low": 2.0,
    "growth_high": None,
    "predicted": 5.00031,
    "spectral_radius_minus_one": 6.1234e-05,
    "spectral_radius_minus_one_error": 2e-8,
}


def test_what_is_not_defined_is_left_out_or_a_question_mark():
    assert returns_text({"metrics": {"return": None, "episodes": 0.0}}) == "episodes 0"
    assert growth_text(PROBE) == "2.5 [2, ?]"
    assert number(None, ".3g") == "?"


def test_a_probe_in_one_line():
    assert radius_text(PROBE) == "6.12e-05 ± 2e-08"
    expected = "std ratio 2.5 [2, ?], E1 predicts 5, ρ(I+H) − 1 = 6.12e-05 ± 2e-08"
    assert probe_text(PROBE) == expected
    assert probe_text({"iteration": 3}) == "no meta-gradient (n = 0)"


@pytest.mark.parametrize(
    ("many", "expected"),
    [(2, "| h0=0 h1=0.125"), (5, "| h0=0 h1=0.125 h2=0.25 h3=0.375 …")],
)
def test_the_first_hyper_parameters_are_shown(many, expected):
    assert hyper_text({"hyper": {f"h{k}": k / 8 for k in range(many)}}) == expected
