"""Sentences follow the numbers: the same questions, answered either way."""

import numpy as np
import pytest

from hessdiag.analysis.answers import answers
from hessdiag.analysis.configuration import Configuration
from hessdiag.analysis.mechanism import COHERENCE
from hessdiag.analysis.standings import SENSITIVITY, Evidence, standing_rows, standings

RUNS, PROBES = 6, 3
N = 4


def configuration(
    growth, *, hessian=0.0, memory=0.0, validation=0.2, radius=1e-5, sensitivity=None, also=None
):
    """A configuration in which E1 and E4 predict different things, and `growth` is measured."""
    rng = np.random.default_rng(0)
    predicted = {
        "E1 spectral radius": np.array([2.2, 3.9, 6.3]),
        "E3 accumulation, coherent": np.array([2.0, 3.0, 4.0]),
        "E4 optimiser memory, coherent": np.array([2.9, 5.6, 9.0]),
    }
    predicted |= also or {}
    if radius < 1e-3:
        predicted["E1 spectral radius"] = predicted["E3 accumulation, coherent"] * (1 + radius)
    target = predicted[growth] if isinstance(growth, str) else np.asarray(growth)
    noise = np.exp(0.02 * rng.normal(size=(RUNS * PROBES, 3)))
    evidence = Evidence(
        [2, 3, 4],
        "n-step",
        target * noise,
        {name: np.tile(row, (RUNS * PROBES, 1)) for name, row in predicted.items()},
        np.repeat(np.arange(RUNS), PROBES).tolist(),
        [{}] * (RUNS * PROBES),
        {} if sensitivity is None else {SENSITIVITY: np.tile(sensitivity, (RUNS * PROBES, 1))},
    )
    made = standings(evidence, confidence=0.95)
    curvature = {
        "when": "all",
        "operator": "paper, I + H",
        "quantity": "spectral radius",
        "median": radius,
        "largest": 2 * radius,
        "largest_error": radius / 100,
        "above_one": 9,
        "undecided": 0,
        "spectra": 9,
    }
    cuts = [
        share("cut", cut, "removed", value, when) | {"horizon": N, "growth": 5.0}
        for when in ("early", "middle", "late", "all")
        for cut, value in (("no-hessian", hessian), ("no-memory", memory))
    ]
    sources = [share("source", "validation trajectories", "share", validation, "all")]
    return Configuration("optimiser=x", evidence, made, [curvature], cuts, sources, [], [], [])


def share(what, name, prefix, value, when):
    ends = {"": value, "_low": value - 0.01, "_high": value + 0.01}
    return {"when": when, what: name} | {prefix + end: number for end, number in ends.items()}


def text(one, question: int) -> str:
    return " ".join(answers([one])[question]["parts"][0]["sentences"])


def test_the_questions_come_in_their_order():
    asked = [answer["question"] for answer in answers([configuration([2, 3, 4], memory=0.8)])]
    assert asked[0].startswith("Does the published explanation hold")
    assert asked[1].startswith("What does")
    assert asked[-1].startswith("What should a practitioner")


def test_the_published_explanation_holds_where_it_wins():
    one = configuration("E1 spectral radius", radius=0.1, hessian=0.25)
    assert "explanation holds here" in text(one, 0)


def test_it_does_not_where_another_wins():
    made = text(configuration("E4 optimiser memory, coherent", radius=0.1), 0)
    assert "does not hold here" in made


def test_it_is_accumulation_where_the_radii_are_one():
    made = text(configuration("E3 accumulation, coherent"), 0)
    assert "cannot be told from mere accumulation" in made
    assert "exceeds one by 2e-05 ± 1e-07" in made


def test_it_does_not_hold_where_another_is_surely_closer_though_nothing_fits():
    made = text(configuration([1.0, 1.0, 1.0], radius=0.1), 0)
    assert "does not hold here: E3 accumulation, coherent is surely closer." in made
    assert "none of the explanations considered predicts the size" in text(
        configuration([1.0, 1.0, 1.0], radius=0.1), 1
    )


def test_it_is_not_decided_half_way_between_two():
    growth = np.sqrt(np.array([2.2, 3.9, 6.3]) * np.array([2.9, 5.6, 9.0]))
    assert "Whether it holds is not decided. Not decided:" in text(
        configuration(growth, radius=0.1), 0
    )


@pytest.mark.parametrize(
    ("flags", "says", "silent"),
    [
        ({"hessian": 0.01}, "Taming curvature will not help much", "urvature carries"),
        ({"hessian": 0.7}, "Curvature carries 70 % [69, 71]", "not help"),
        ({"hessian": -0.6}, "Curvature damps: cutting the Hessian path removes −60 %", "not help"),
        ({"hessian": -0.06}, "Taming curvature will not help much", "damps"),
        (
            {"hessian": 0.25},
            "is not decided: cutting the whole Hessian path removes 25 %",
            "carries",
        ),
        ({"memory": 0.6}, "memory carries 60 % [59, 61]", "alidation"),
        ({"memory": 0.2}, "", "memory"),
        ({"validation": 0.9}, "Validation trajectories make 90 % [89, 91]", "memory"),
    ],
)
def test_advice_follows_the_shares(flags, says, silent):
    made = answers([configuration([2, 3, 4], **{"hessian": 0.0} | flags)])
    advice = [a for a in made if a["question"].startswith("What should")]
    words = " ".join(s for a in advice for part in a["parts"] for s in part["sentences"])
    assert says in words
    assert silent not in words


def test_shares_are_told_early_middle_and_late():
    made = text(configuration([2, 3, 4], hessian=0.25), 1)
    assert (
        "Cutting the Hessian path removes 25 % [24, 26] early, 25 % [24, 26] middle and "
        "25 % [24, 26] late of the log-growth at 4 steps." in made
    )


def test_the_noise_of_the_measured_growth_is_read_from_its_intervals():
    """1.3 times what E4 predicts: too far, unless intervals reach to half and twice as much."""
    growth = 1.3 * np.array([2.9, 5.6, 9.0])
    one = configuration(growth)
    assert "none of the explanations considered predicts the size" in text(one, 1)
    ends = np.stack([one.evidence.measured / 2, one.evidence.measured * 2])
    noisy = one.evidence._replace(ends=ends)
    made = one._replace(evidence=noisy, standings=standings(noisy, confidence=0.95))
    assert "(rms) beside noise of 1.42 in the measured growth, and paired by run" in text(made, 1)


def test_nothing_measured_nothing_said():
    assert answers([]) == []


def test_a_measured_sensitivity_is_a_yardstick_and_never_wins():
    growth = np.array([2.4, 4.5, 7.0])  # half way between E3 and E4
    without, beside = configuration(growth), configuration(growth, sensitivity=growth * 1.1)
    assert without.standings.contest == beside.standings.contest
    assert "comes within a factor of 1.1 [1.1, 1.1]: it is what noise" in text(beside, 1)
    off = configuration(growth, sensitivity=growth * 5)
    assert "]: noise of T is not alike in all directions" in text(off, 1)
    assert "measured instead of predicted" not in text(without, 1)
    first, *rest = standing_rows("x", "n-step", beside.standings)
    assert first["explanation"] == SENSITIVITY
    assert "wins" not in first
    assert all("wins" in row for row in rest)


@pytest.mark.parametrize(
    ("growth", "cuts", "contradicted"),
    [
        ("E3 accumulation, coherent", {"hessian": -0.6}, ["the Hessian path"]),
        ("E3 accumulation, coherent", {"memory": 0.4, "hessian": 0.3}, ["Hessian", "memory"]),
        ("E4 optimiser memory, coherent", {"memory": 0.4}, []),
        ("E4 optimiser memory, coherent", {"hessian": -0.06}, []),
        ("E4 optimiser memory, coherent", {"hessian": 0.3}, ["the Hessian path"]),
    ],
)
def test_cuts_contradict_what_the_closest_explanation_presumes(growth, cuts, contradicted):
    made = text(configuration(growth, radius=0.1, **cuts), 1)
    assert made.count("plays no part") == len(contradicted)
    assert all(what in made for what in contradicted)


@pytest.mark.parametrize(("hessian", "contradicted"), [(0.0, True), (0.25, False)])
def test_radii_that_fit_are_contradicted_where_the_hessian_path_makes_nothing(
    hessian, contradicted
):
    """Of log 6.3, log 4 is the number of terms: a quarter is the radii's."""
    one = configuration("E1 spectral radius", radius=0.1, hessian=hessian)
    says = (
        "E1 spectral radius has it that curvature makes 25 % of the log-growth; with the Hessian "
        "path cut, 0 % [−1, 1] of it is what goes, so that its size is no proof of its mechanism."
    )
    assert (says in text(one, 1)) == contradicted
    assert (says in text(one, 0)) == contradicted
    assert ("explanation holds here" in text(one, 0)) != contradicted


def test_products_that_fit_are_contradicted_too():
    products = {"E2 products, preconditioned": np.array([2.9, 5.6, 9.0])}
    growth = products["E2 products, preconditioned"] * 1.02
    without = {"also": products, "radius": 0.1}
    assert "So read, it predicts the size" in text(configuration(growth, **without), 0)
    assert "So read, it holds" in text(configuration(growth, hessian=0.4, **without), 0)


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("E2 products, preconditioned", "So read, it holds"),
        ("E4 optimiser memory, coherent", "So read, it does not hold either"),
        ([1.0, 1.0, 1.0], "is not decided"),  # as close as E3 to what nothing predicts
        ([20.0, 30.0, 40.0], "does not hold either: E4 optimiser memory, coherent is surely"),
    ],
)
def test_the_published_explanation_is_read_under_the_optimiser_too(label, says):
    products = {"E2 products, preconditioned": np.array([2.05, 2.9, 4.0])}
    growth = products.get(label, label) if isinstance(label, str) else label
    made = text(configuration(growth, radius=0.1, also=products), 0)
    assert says in made
    assert "(E2 products, preconditioned)" in made


def test_readings_that_are_mere_accumulation_never_hold():
    """As under SGD: the closest prediction is right, and says nothing of radii."""
    readings = ("preconditioned", "update", "augmented")
    same = {f"E1 spectral radius, {name}": np.array([2.0, 3.0, 4.0]) * 1.00001 for name in readings}
    made = text(configuration("E3 accumulation, coherent", also=same), 0)
    assert "So read, they cannot be told from mere accumulation of the terms either." in made
    assert "it holds" not in made


def test_unstable_eigenvalues_are_looked_for_behind_those_that_damp():
    """Cutting the whole Hessian removes nothing where what it amplifies and damps balance."""
    one = configuration("E1 spectral radius", radius=0.1, hessian=0.0)
    assert "no proof of its mechanism" in text(one, 1)
    for deflated, proof, advice in (
        (
            0.3,
            False,
            "The unstable eigenvalues found carry 30 % [29, 31] of the log-",
        ),
        (0.02, True, "not help much: cutting the whole Hessian path removes 0 % [−1, 1]"),
        (0.25, False, "Whether taming curvature helps is not decided"),
    ):
        cuts = [share("cut", "stable-hessian", "removed", deflated, "all") | {"horizon": N}]
        both = one._replace(cuts=[*one.cuts, *cuts])
        assert ("no proof of its mechanism" in text(both, 1)) == proof
        assert advice in text(both, -1)
        assert (
            "Part of the paper's instability taken away: deflating eigenvalues of H outside the "
            f"stable interval removes {100 * deflated:.0f} %" in text(both, 0)
        )


def test_single_steps_are_a_part_of_the_inner_trajectories():
    rows = [
        share("source", source, "share", value, "all")
        for source, value in (
            ("validation trajectories", 0.7),
            ("inner trajectories", 0.3),
            ("single inner steps", 0.2),
        )
    ]
    made = text(configuration([2, 3, 4])._replace(sources=rows), 1)
    assert (
        "70 % [69, 71] come from validation trajectories and 30 % [29, 31] come from inner "
        "trajectories, of which 20 % [19, 21] from single inner steps alone." in made
    )


def test_a_best_horizon_is_named_only_where_intervals_part():
    def spread(low, top=0.7):
        return [
            {"when": "all", "horizon": horizon, "estimator": "mix", **ends}
            for horizon, ends in (
                (1, {"signal": 0.3, "signal_low": 0.1, "signal_high": 0.5}),
                (4, {"signal": top, "signal_low": low, "signal_high": 0.9}),
            )
        ]

    one = configuration([2, 3, 4])
    apart, over = (one._replace(spread=spread(low)) for low in (0.6, 0.4))
    assert "decides nothing" not in text(apart, -1)
    assert "decides nothing" in text(over, -1)
    assert "ratio at 4 steps (mix: 0.7 [0.4, 0.9]), at one step (0.3" in text(over, -1)
    best_at_one = text(one._replace(spread=spread(0.1, top=0.2)), -1)
    assert "ratio at one step (0.3 [0.1, 0.5]), at 4 steps (mix: 0.2 [0.1, 0.9])" in best_at_one
    assert "decides nothing" in best_at_one
    between = {"when": "all", "horizon": 2, "estimator": "mix"}
    near = between | {"signal": 0.68, "signal_low": 0.6, "signal_high": 0.8}
    assert "surely more than at one step, though not" in text(
        one._replace(spread=[*spread(0.6), near]), -1
    )
    wide = between | {"signal": 0.1, "signal_low": 0.0, "signal_high": 0.9}
    assert "decides nothing" in text(one._replace(spread=[*spread(0, top=0.2), wide]), -1)
    surely_at_one = [row | {"signal_high": 0.05} for row in spread(0.01, top=0.02)[1:]]
    assert "decides nothing" not in text(one._replace(spread=spread(0)[:1] + surely_at_one), -1)
    assert "ratio at one step (0.3 [0.1, 0.5])." in text(one._replace(spread=spread(0)[:1]), -1)


def test_every_answer_names_its_figures():
    made = answers([configuration([2, 3, 4], memory=0.8)])
    assert [answer["figures"] for answer in made] == [
        ["curvature", "calibration"],
        ["cuts", "sources", "terms", "calibration"],
        ["signal", "cuts", "sources"],
    ]


def test_what_is_not_defined_at_every_probe_is_named():
    """It takes no part in the comparison: nobody should think that it lost."""
    one = configuration([2, 3, 4])
    label = "E1 spectral radius, augmented"
    radii = np.tile([2.0, 3.0, 4.0], (RUNS * PROBES, 1))
    radii[:5, 1] = np.nan
    never = np.full_like(radii, np.nan)
    predicted = one.evidence.predicted | {label: radii, "E2 products, paper": never}
    made = text(one._replace(evidence=one.evidence._replace(predicted=predicted)), 1)
    assert f"not defined at every probe: {label} (13 of 18)." in made
    assert "E2" not in made
    assert "not defined" not in text(one, 1)


def test_the_deflation_says_how_much_it_deflates():
    one = configuration([2, 3, 4])
    cuts = [
        share("cut", "stable-hessian", "removed", 0.1, when) | {"horizon": N, "left_out": 5.123}
        for when in ("early", "middle", "late", "all")
    ]
    made = text(one._replace(cuts=[*one.cuts, *cuts]), 1)
    assert "that were found, 5.1 of each Hessian on average, removes 10 %" in made


def test_without_nested_samples_the_coherence_alone_is_told():
    """And where no term varies, nothing is."""
    rows = [share("source", COHERENCE, "share", 0.4, "all")]
    made = text(configuration([2, 3, 4])._replace(sources=rows), 1)
    assert "The terms' coherence is 0.4" in made
    assert "Of the variance" not in made
    undefined = [share("source", COHERENCE, "share", np.nan, "all")]
    made = text(configuration([2, 3, 4])._replace(sources=undefined), 1)
    assert "coherence" not in made
