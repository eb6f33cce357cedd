"""Exponents and directions of made-up probes, and what they decide."""

import numpy as np
import pytest
import xarray

from hessdiag.analysis.directions import direction_table
from hessdiag.analysis.exponents import exponent_table
from hessdiag.analysis.frames import rows
from tests.analysis.building import answers, ends, of_probes

OWN, SAME, NOISE = "twin, own trajectories", "twin, same trajectories", "noise"
HORIZONS = np.array([1, 2, 3])
GROWTH = np.array([1.0, 3.0, 6.0])


def probe(seed: int, iteration: int, **more) -> xarray.Dataset:
    """Twins that part by a jump, then by `own` per step, with some of the seed in it."""
    own = more.pop("own", 0.2) + 0.01 * seed
    growth = more.pop("growth", GROWTH) * np.array([1, 1 + 0.01 * seed, 1 + 0.02 * seed])
    without, overlap = more.get("without", ()), 0.5 + 0.01 * seed
    shares = {
        "singular_mass_growing": 0.3,
        "singular_mass_kept": 0.6,
        "singular_mass_shrinking": 0.1,
        "outer_overlap": overlap,
    }
    axes, of_steps = ("operator_unroll", "singular_operator"), ("operator_unroll", "term")
    variables = {
        "growth": (("estimator", "horizon"), growth[None]),
        "twin_log_distance": (("twin", "horizon"), 2 + np.outer([0.1, own], HORIZONS)),
        "product_norm_minus_one": (
            (*of_steps, "operator"),
            np.array([0.0, 0.5, 3.0])[None, :, None],
        ),
        "outer_stretch": (axes, np.full((1, 1), 8.0)),
        "random_stretch": (axes, np.full((1, 1), 1.5)),
        **{name: (axes, np.full((1, 1), value)) for name, value in shares.items()},
        **{f"{name}_error": (axes, np.full((1, 1), 0.002 * seed)) for name in shares},
    }
    coords = {
        "estimator": ["n-step"],
        "horizon": HORIZONS,
        "term": HORIZONS,
        "twin": ["same trajectories", "own trajectories"],
        "operator": ["paper"],
        "singular_operator": ["augmented"],
    }
    kept = {name: value for name, value in variables.items() if name not in without}
    return xarray.Dataset(kept, coords, attrs={"iteration": iteration, "samples": 5})


def made(table=exponent_table, **more):
    probes = [[probe(seed, iteration, **more) for iteration in (1, 6)] for seed in (0, 1, 2)]
    return rows(table(of_probes(probes)))


def test_exponents_are_logarithms_per_step():
    found = {row["exponent_of"]: row for row in made() if row["when"] == "all"}
    assert list(found) == ["norm, paper", "outer, augmented", SAME, OWN, NOISE]
    expected = {
        "norm, paper": (np.log(4) / 2, 2, np.log(4 / 1.5)),
        "outer, augmented": (np.log(8) / 3, 3, np.nan),
        SAME: (0.1, 2, 0.1),
        OWN: (0.21, 2, 0.21),
    }
    for name, (exponent, steps, last) in expected.items():
        assert found[name]["exponent"] == pytest.approx(exponent)
        assert found[name]["steps"] == steps
        assert found[name]["stretch"] == pytest.approx(np.exp(exponent * steps))
        assert found[name]["last"] == pytest.approx(last, nan_ok=True)
        assert (found[name]["count"], found[name]["over"]) == (3, "seeds")
    logs = [np.log(6 * (1 + 0.02 * seed)) for seed in range(3)]
    assert found[NOISE]["exponent"] == pytest.approx(np.mean(logs) / 2)
    assert found[NOISE]["stretch"] == pytest.approx(np.exp(np.mean(logs)))
    shares = [2 * (0.2 + 0.01 * seed) / log for seed, log in enumerate(logs)]
    assert found[OWN]["share"] == pytest.approx(np.mean(shares))
    assert found[OWN]["share_low"] < np.mean(shares) < found[OWN]["share_high"]
    assert found[NOISE]["share"] == pytest.approx(1.0)


def test_every_third_of_training_has_its_exponents():
    assert {row["when"] for row in made()} == {"early", "late", "all"}


def test_what_was_not_measured_has_no_row():
    kept = made(without=("twin_log_distance", "product_norm_minus_one"))
    assert {row["exponent_of"] for row in kept} == {"outer, augmented", NOISE}


def test_noise_that_does_not_grow_has_no_shares():
    found = made(growth=np.array([1.0, 1.0, 0.5]))
    assert all(np.isnan(row["share"]) for row in found)


def test_one_step_has_no_exponents():
    one = [[probe(0, 1).isel(horizon=[0], term=[0])]]
    assert not len(exponent_table(of_probes(one)))
    assert not len(exponent_table(of_probes([[]])))


def test_directions_have_their_shares_and_the_largest_error():
    (found,) = (row for row in made(direction_table) if row["when"] == "all")
    assert found["operator"] == "augmented"
    assert found["growing"] == pytest.approx(0.3)
    assert found["overlap"] == pytest.approx(0.51)
    assert found["overlap_low"] < 0.51 < found["overlap_high"]
    assert found["outer_stretch"] == pytest.approx(8.0)
    assert found["random_stretch"] == pytest.approx(1.5)
    assert found["bound"] == pytest.approx(0.004)
    assert not made(direction_table, without=("outer_overlap",))


def exponent_rows(share, *, half=0.01, last=0.4, growth=5.0, **more):
    own = {"exponent": 0.4, "exponent_low": 0.35, "exponent_high": 0.45}
    own |= ends("last", last, 0.02) | ends("stretch", np.exp(0.8)) | ends("share", share, half)
    noise = ends("stretch", growth) | {"share": 1.0}
    return [{"exponent_of": OWN, **own, **more}, {"exponent_of": NOISE, **noise}]


@pytest.mark.parametrize(
    ("row", "status", "reason"),
    [
        ({"share": 0.6}, "holds", "carries"),
        ({"share": 0.6, "last": 0.1}, "holds", "slows"),
        ({"share": 0.6, "last": 0.36}, "holds", "carries"),  # not surely slower
        ({"share": 0.1}, "does not hold", "little"),
        ({"share": -0.6}, "does not hold", "damps"),
        ({"share": 0.255}, "undecided", "overlaps"),
        ({"share": np.nan, "growth": 0.9}, "does not hold", "no-growth"),
    ],
)
def test_whether_small_differences_grow_as_the_noise_does(row, status, reason):
    found = answers(exponents=exponent_rows(**row))["chaos"]
    assert (found.status, found.reason) == (status, reason)
    assert ("last_rate" in found.numbers) == (reason == "slows")
    assert found.numbers["rate"].value == pytest.approx(np.exp(0.4))


def test_without_twins_or_noise_chaos_is_not_measured():
    both = exponent_rows(0.6)
    for kept in ([], both[:1], both[1:]):
        assert answers(exponents=kept)["chaos"].status == "not measured"


def test_twins_without_a_distance_decide_nothing():
    """All were left out, or some diverged: that says nothing of growth that is there."""
    lost = exponent_rows(np.nan, stretch=np.nan)
    assert answers(exponents=lost)["chaos"].status == "not measured"


@pytest.mark.parametrize(
    ("overlap", "bound", "status"),
    [
        (0.9, 0.0, "holds"),
        (0.1, 0.0, "does not hold"),
        (0.255, 0.0, "undecided"),
        (0.9, 0.7, "undecided"),
        (0.1, 0.2, "undecided"),
        (np.nan, 0.0, "not measured"),
    ],
)
def test_whether_the_outer_gradient_lies_in_growing_directions(overlap, bound, status):
    """A numerical error counts on top of the interval over seeds."""
    row = {"operator": "augmented", "bound": bound, "random_stretch": 1.1}
    row |= ends("overlap", overlap) | ends("growing", 0.2) | ends("outer_stretch", 1.3)
    found = answers(directions=[row])["directions"]
    assert found.status == status
    paper = answers(directions=[row | {"operator": "paper"}])["directions"]
    assert paper.status == "not measured"
