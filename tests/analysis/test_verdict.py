"""The sentences must follow the numbers, whichever way these point."""

import numpy as np
import xarray

from hessdiag.analysis.verdict import correlations, finding

LABELS = ["E1 spectral radius", "E3 accumulation, coherent"]


def probe(iteration, growth, half_width, predicted, radius=0.1, error=1e-3, above="yes"):
    """A probe at n = 3 with a given growth, interval and predictions."""
    shape = (1, 3)
    return xarray.Dataset(
        {
            "growth": (("estimator", "horizon"), [[1.0, growth / 2, growth]]),
            "growth_low": (("estimator", "horizon"), [[1.0, 1.0, growth - half_width]]),
            "growth_high": (("estimator", "horizon"), [[1.0, growth, growth + half_width]]),
            "prediction": (
                ("explanation", "horizon"),
                [[1.0, 2.0, value] for value in predicted],
            ),
            "spectral_radius_minus_one": (("unroll", "inner_step"), np.full(shape, radius)),
            "spectral_radius_minus_one_error": (("unroll", "inner_step"), np.full(shape, error)),
            "exceeds_one": (("unroll", "inner_step"), np.full(shape, above, object)),
        },
        coords={"estimator": ["n-step"], "explanation": LABELS, "horizon": [1, 2, 3]},
        attrs={"iteration": iteration, "confidence": 0.95},
    )


def test_e1_is_named_where_it_predicts_the_growth():
    probes = [probe(10 * k, 8.0 + k, 0.5, [8.0 + k, 3.0]) for k in range(6)]
    text = " ".join(finding(probes))
    assert "agrees most often with E1 spectral radius (" in text
    assert "inside at 6" in text
    assert "cannot be told from" not in text
    assert correlations(probes)["E1 spectral radius"].value == 1.0
    assert "is 1.00 [" in text
    assert "sign is not decided" not in text


def test_e1_is_not_named_where_its_radii_are_one():
    probes = [probe(k, 5.0, 0.5, [3.0001 + 1e-5 * k, 3.0], radius=1e-5) for k in range(6)]
    text = " ".join(finding(probes))
    assert "No explanation considered here agrees" in text
    assert "not decided" in text
    assert "below it at 6" in text
    assert "multiply it by 1.00004" in text
    assert "cannot be told from mere accumulation" in text


def test_undecided_radii_are_counted_as_such():
    text = " ".join(finding([probe(1, 2.0, 0.1, [3.0, 3.0], radius=1e-9, above="undecided")]))
    assert "certainly above one at 0 of 3" in text
    assert "undecided at 3" in text


def test_a_decreasing_relation_is_reported_as_such():
    probes = [probe(k, 9.0 - k, 0.1, [3.0 + k, 3.0]) for k in range(8)]
    assert "is -1.00 [" in " ".join(finding(probes))


def test_noise_is_not_decided():
    growth = [5.0, 5.2, 4.9, 5.1, 5.05, 4.95]
    predicted = [3.3, 3.1, 3.2, 3.4, 3.0, 3.5]
    probes = [
        probe(k, g, 0.5, [p, 3.0]) for k, (g, p) in enumerate(zip(growth, predicted, strict=True))
    ]
    assert "sign is not decided" in " ".join(finding(probes))


def test_meta_gradients_without_spread_are_said_to_have_none():
    flat = probe(1, float("nan"), 0.1, [3.0, 3.0])
    assert finding([flat]) == [
        "The 1-step meta-gradient did not vary at any probe: there is no growth to explain."
    ]
    assert correlations([flat]) == {}


def test_what_an_explanation_cannot_tell_speaks_neither_for_nor_against_it():
    probes = [probe(k, 3.0 + 0.1 * k, 0.5, [3.0 + 0.1 * k, 3.0]) for k in range(5)]
    probes[2].prediction[1, 2] = np.nan
    text = " ".join(finding(probes))
    assert "E1 spectral radius 5, E3 accumulation, coherent 4" in text
    assert list(correlations(probes)) == ["E1 spectral radius"]


def test_without_probes_nothing_is_claimed():
    assert finding([]) == ["No meta-gradient was measured: nothing can be said about its variance."]
    assert correlations([]) == {}
