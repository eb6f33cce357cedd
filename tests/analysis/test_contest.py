"""The verdict on data whose explanation is known, over many seeds."""

import numpy as np
import pytest

from hessdiag.analysis.contest import contest

HORIZONS = np.array([2, 3, 5, 10])
SHAPES = {
    "linear": HORIZONS.astype(float),
    "root": np.sqrt(HORIZONS),
    "memory": np.cumsum([(1 - 0.9**k) / 0.1 for k in range(1, 11)])[HORIZONS - 1],
}


def judged(truth, *, noise, runs=5, probes=4, seed=0, extra=None, known_noise=0.0):
    """Growth as `truth` says, with noise of each run and of each probe."""
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(runs), probes)
    wide = (len(clusters), len(HORIZONS))
    scatter = rng.normal(0, noise, (runs, 1))[clusters] + rng.normal(0, noise, wide)
    predicted = {name: np.broadcast_to(shape, wide) for name, shape in SHAPES.items()}
    predicted |= {name: np.broadcast_to(shape, wide) for name, shape in (extra or {}).items()}
    made = contest(
        truth * np.exp(scatter),
        predicted,
        clusters.tolist(),
        confidence=0.95,
        resamples=200,
        rng=rng,
        noise=known_noise,
    )
    assert made is not None
    return made


@pytest.mark.parametrize("name", SHAPES)
def test_the_true_explanation_wins_in_at_least_95_of_100_seeds(name):
    won = [judged(SHAPES[name], noise=0.1, seed=seed).winners for seed in range(100)]
    assert sum(winners == (name,) for winners in won) >= 95


def test_wrong_explanations_hardly_ever_win():
    """A truth half-way between two of them, in logarithms."""
    between = np.sqrt(SHAPES["linear"] * SHAPES["root"])
    won = [judged(between, noise=0.3, seed=seed).winners for seed in range(100)]
    assert sum(winners == () for winners in won) >= 95


@pytest.mark.parametrize("runs", [3, 5, 10])
def test_of_two_equally_close_hardly_ever_one_is_called_the_winner(runs):
    """However few the runs: the verdict is wrong as rarely as its confidence says."""
    truth = SHAPES["linear"]
    extra = {"linear": 1.15 * truth, "root": truth / 1.15, "memory": 3 * truth}
    won = [
        judged(truth, noise=0.05, runs=runs, seed=seed, extra=extra).winners for seed in range(300)
    ]
    assert sum(winners == () for winners in won) >= 0.92 * 300


def test_uninformative_data_decide_nothing():
    flat = np.ones(4)
    extra = {
        "linear": 1.0 + 0.02 * HORIZONS,
        "root": 1.0 - 0.02 * HORIZONS,
        "memory": 1.3 + 0 * flat,
    }
    won = [judged(flat, noise=0.5, seed=seed, extra=extra).winners for seed in range(100)]
    assert sum(winners == () for winners in won) >= 95


def test_two_that_are_equally_close_are_rarely_told_apart():
    """Both within the size, on either side of the truth: which is nearer is chance."""
    truth = SHAPES["linear"]
    extra = {"linear": 1.06 * truth, "root": truth / 1.06, "memory": 3 * truth}
    won = [judged(truth, noise=0.1, seed=seed, extra=extra).winners for seed in range(100)]
    assert sum(winners == () for winners in won) >= 90


def test_a_size_that_nothing_predicts_is_not_decided():
    made = judged(100 * SHAPES["memory"], noise=0.05)
    assert made.winners == ()
    assert made.reason == "too-far"
    assert made.standings[0].label == "memory"
    assert made.standings[0].bias.high < -np.log(50)


def test_noise_excuses_no_wrong_size():
    made = judged(3 * SHAPES["memory"], noise=0.3, runs=20, known_noise=0.42)
    assert made.winners == ()
    assert made.reason == "too-far"


@pytest.mark.parametrize("runs", [3, 5])
def test_of_equally_good_explanations_hardly_ever_one_is_beaten(runs):
    """Though the closest of them is chosen by the data that it is compared on."""
    rng = np.random.default_rng(0)
    beaten, trials = 0, 400
    for _ in range(trials):
        errors = np.exp(0.1 * rng.standard_normal((12, runs, 4)))
        made = contest(
            np.ones((runs, 4)),
            {f"E{k}": one for k, one in enumerate(errors)},
            list(range(runs)),
            confidence=0.95,
            resamples=100,
            rng=rng,
        )
        assert made is not None
        beaten += next(one for one in made.standings if one.label == "E0").beaten
    assert beaten <= 0.05 * trials


@pytest.mark.parametrize("runs", [5, 20])
def test_noise_of_the_measurement_is_no_fault_of_the_true_explanation(runs):
    """However many runs show ever more surely that the noise is larger than the tolerance."""
    noise, truth = 0.3, SHAPES["memory"]
    options = {"noise": noise, "runs": runs}
    total = np.sqrt(2) * noise  # of each run and of each probe
    seeds = range(40)
    aware = [judged(truth, seed=seed, known_noise=total, **options).reason for seed in seeds]
    assert aware.count("too-far") == 0
    assert runs < 20 or aware.count("closest") >= 38
    unaware = [judged(truth, seed=seed, **options).reason for seed in seeds]
    assert runs < 20 or unaware.count("too-far") >= 38


def test_what_is_surely_farther_than_the_closest_is_beaten_even_where_nothing_wins():
    made = judged(100 * SHAPES["memory"], noise=0.05)
    beaten = {standing.label: standing.beaten for standing in made.standings}
    assert beaten == {"memory": False, "linear": True, "root": True}
    twin = judged(SHAPES["linear"], noise=0.05, extra={"twin": SHAPES["linear"] * 1.001})
    assert not any(one.beaten for one in twin.standings if one.label in ("linear", "twin"))
    few = judged(SHAPES["linear"], noise=0.01, runs=2)
    assert not any(standing.beaten for standing in few.standings)


def test_explanations_that_coincide_win_together():
    made = judged(SHAPES["linear"], noise=0.05, extra={"radius": SHAPES["linear"] * 1.001})
    assert set(made.winners) == {"linear", "radius"}
    assert {one.label: one.same_as for one in made.standings}["radius"] == ("linear",)


def test_two_runs_are_too_few():
    made = judged(SHAPES["linear"], noise=0.01, runs=2)
    assert made.winners == ()
    assert made.reason == "too-few-runs"


def test_explanations_that_say_nothing_somewhere_are_left_out():
    made = judged(SHAPES["linear"], noise=0.01, extra={"memory": np.full(4, np.nan)})
    assert {standing.label for standing in made.standings} == {"linear", "root"}
    rng = np.random.default_rng(0)
    options = {"confidence": 0.9, "resamples": 10, "rng": rng}
    assert contest(np.full((2, 1), np.nan), {"a": np.ones((2, 1))}, [0, 1], **options) is None


def test_an_undecided_contest_says_how_many_runs_would_decide():
    """Rivals twice as far from the truth as the closest, seen through much noise."""
    truth = SHAPES["linear"]
    extra = {"linear": 1.1 * truth, "root": truth / 1.3, "memory": 9 * truth}
    few = [judged(truth, noise=0.15, runs=4, seed=seed, extra=extra) for seed in range(40)]
    open_ones = [made for made in few if made.reason == "not-closer"]
    assert len(open_ones) > 10
    assert all(made.rivals and not made.runs <= 4 for made in open_ones)
    needed = int(np.nanmedian([made.runs for made in open_ones]))
    later = [
        judged(truth, noise=0.15, runs=2 * needed, seed=seed, extra=extra).reason
        for seed in range(40)
    ]
    assert later.count("not-closer") < 20
