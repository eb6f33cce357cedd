import pytest
from hessdiag.cli.words import (  # pyright: ignore[reportMissingImports]
    iteration_text,
    probe_text,
)

PROBE = {
    "growth": 2.5,
    "growth_low": 2.0,
    "growth_high": None,
    "predicted": 5.00031,
    "spectral_radius_minus_one": 6.1234e-05,
    "spectral_radius_minus_one_error": 2e-8,
}


def test_a_probe_in_one_line_with_a_question_mark_for_what_is_not_defined():
    expected = "std ratio 2.5 [2, ?], E1 predicts 5, ρ(I+H) − 1 = 6.12e-05 ± 2e-08"
    assert probe_text(PROBE) == expected
    assert probe_text({"iteration": 3}) == "no meta-gradient (n = 0)"


@pytest.mark.parametrize(
    ("many", "expected"),
    [
        (0, "episodes 0"),
        (2, "episodes 0 | h0=0 h1=0.125"),
        (5, "episodes 0 | h0=0 h1=0.125 h2=0.25 h3=0.375 …"),
    ],
)
def test_an_iteration_in_one_line_with_the_first_hyper_parameters(many, expected):
    hyper = {f"h{k}": k / 8 for k in range(many)}
    record = {"metrics": {"return": None, "episodes": 0.0}, "hyper": hyper}
    assert iteration_text(record) == expected
