"""Rows of a real study, computed again from the files of its runs."""

import json

import numpy as np
import pytest
import xarray

from hessdiag.analysis import findings
from hessdiag.analysis.comparisons import SENSITIVITY
from hessdiag.analysis.cuts import cut_table
from hessdiag.analysis.frames import rows
from hessdiag.statistics import mix_weights
from tests.analysis.building import of_probes
from tests.analysis.conftest import COMMON, GRID

ADAM = GRID.cells()[:3]
EVEN = [f"gamma_{i}" for i in range(0, 10, 2)]


@pytest.fixture(scope="module")
def probes(study):
    """(seeds, probes) of Adam."""
    return [
        [
            xarray.load_dataset(file, engine="h5netcdf")
            for file in sorted((study.run_path(cell) / "probes").glob("*.nc"))
        ]
        for cell in ADAM
    ]


def row(of_table, **wanted):
    (found,) = (r for r in of_table if all(r.get(key) == value for key, value in wanted.items()))
    return found


def seeds_mean(probes, read):
    return float(np.mean([np.mean([read(p) for p in seed]) for seed in probes]))


def test_the_measured_sensitivity_stands_beside_the_predictions(tables, probes):
    seed, probe = 1, probes[1][0]
    for estimator, sensitivity in (
        ("n-step", probe.sensitivity_growth.mean("sensitivity_sample").values),
        ("mix", None),
    ):
        found = row(
            tables["comparisons"],
            configuration="optimiser=adam",
            estimator=estimator,
            seed=seed,
            iteration=1,
            horizon=3,
            explanation=SENSITIVITY,
        )
        if sensitivity is None:  # horizons that vary independently
            weights = np.asarray(mix_weights(3, None))
            n_step = probe.sensitivity_growth.mean("sensitivity_sample").values[:3]
            expected = np.sqrt(np.sum((weights * n_step) ** 2))
        else:
            expected = sensitivity[2]
        assert found["predicted"] == pytest.approx(float(expected))


def test_growth_is_the_mean_logarithm_over_seeds(tables, probes):
    found = row(
        tables["spread"],
        configuration="optimiser=adam",
        when="all",
        estimator="n-step",
        horizon=3,
        group="all",
    )
    logs = seeds_mean(probes, lambda p: np.log(p.growth.sel(estimator="n-step", horizon=3)))
    assert found["growth"] == pytest.approx(np.exp(logs))
    assert found["growth_low"] < found["growth"] < found["growth_high"]
    early = row(
        tables["spread"],
        configuration="optimiser=adam",
        when="early",
        estimator="mix",
        horizon=2,
        group="all",
    )
    first = [[seed[0]] for seed in probes]
    logs = seeds_mean(first, lambda p: np.log(p.growth.sel(estimator="mix", horizon=2)))
    assert early["growth"] == pytest.approx(np.exp(logs))


def test_bias_and_std_of_a_group(tables, probes):
    found = row(
        tables["spread"],
        configuration="optimiser=adam",
        when="all",
        estimator="n-step",
        horizon=1,
        group="even discounts",
    )
    at = [
        [p.sel(estimator="n-step", horizon=1, meta_parameter=EVEN) for p in seed] for seed in probes
    ]
    assert found["std"] == pytest.approx(np.exp(seeds_mean(at, lambda p: np.log(p["std"].mean()))))
    assert 0 < found["std_low"] < found["std"] < found["std_high"]
    square = seeds_mean(at, lambda p: (p.bias**2 - p.bias_error**2).mean())
    assert found["bias"] == pytest.approx(np.sqrt(max(square, 0.0)))
    gradients = probes[0][0].meta_gradient.sel(meta_parameter="gamma_0").values.astype(float)
    difference = gradients[:, 0] - gradients[:, -1]
    stored = probes[0][0].sel(estimator="n-step", horizon=1, meta_parameter="gamma_0")
    assert float(stored.bias) == pytest.approx(difference.mean())
    assert float(stored.bias_error) == pytest.approx(difference.std(ddof=1) / np.sqrt(5))


@pytest.mark.parametrize(("estimator", "horizon"), [("n-step", 1), ("mix", 3)])
def test_signal_to_noise_has_the_sampling_noise_taken_off(tables, probes, estimator, horizon):
    found = row(
        tables["spread"],
        configuration="optimiser=adam",
        when="all",
        estimator=estimator,
        horizon=horizon,
        group="all",
    )

    def square(p):
        at = p.sel(estimator=estimator, horizon=horizon)
        return float(np.mean((at["mean"] / at["std"]) ** 2)) - 1 / COMMON["probe.samples"]

    expected = seeds_mean(probes, square)
    assert found["signal"] == pytest.approx(np.sqrt(max(expected, 0.0)))
    assert found["signal_low"] <= found["signal"] <= found["signal_high"]


def test_sensitivity_is_the_mean_logarithm_of_its_growth(tables, probes):
    for when, chosen in (("all", probes), ("middle", [seed[1:] for seed in probes])):
        found = row(tables["sensitivity"], configuration="optimiser=adam", when=when)

        def log(p):
            return np.log(p.sensitivity_growth.sel(horizon=3).mean())

        assert found["growth"] == pytest.approx(np.exp(seeds_mean(chosen, log)), rel=1e-6)
        assert found["growth_low"] < found["growth"] < found["growth_high"]


def test_shares_of_the_terms(tables, probes):
    """The term's variance over that of the sum, and its covariance with the rest of the sum."""

    def shares(p, j):
        terms = p.contribution.isel(cut_horizon=-1).values.astype(float)  # (K, n, m)
        whole = terms.sum(axis=1)
        total = whole.var(axis=0, ddof=1)
        own = terms[:, j].var(axis=0, ddof=1)
        centred = terms[:, j] - terms[:, j].mean(axis=0)
        along = (centred * (whole - whole.mean(axis=0))).sum(axis=0) / (len(terms) - 1)
        return np.array([(own / total).mean(), ((along - own) / total).mean()])

    sums = np.zeros(2)
    for term, step in ((1, 2), (2, 1), (3, 0)):
        found = row(tables["terms"], configuration="optimiser=adam", when="all", term=term)
        expected = np.mean([np.mean([shares(p, step) for p in s], axis=0) for s in probes], axis=0)
        made = np.array([found["variance_share"], found["covariance_share"]])
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-6)
        assert (found["inner_step"], found["horizon"], found["count"]) == (step, 3, 3)
        alone = seeds_mean(probes, lambda p, j=step: p.step_share.sel(horizon=3, inner_step=j))
        assert found["step_share"] == pytest.approx(alone)
        sums += made
    assert sums.sum() == pytest.approx(1.0)


def test_the_stable_cut_says_how_many_eigenpairs_it_leaves_out():
    def probe(left_out):
        growth = (("cut", "cut_horizon"), [[1.0, 4.0], [1.0, 2.0], [1.0, 3.0]])
        return xarray.Dataset(
            {"cut_growth": growth, "left_out": (("inner_step",), left_out)},
            coords={"cut": ["full", "no-memory", "stable-hessian"], "cut_horizon": [1, 2]},
            attrs={"iteration": 1, "samples": 5},
        )

    found = [[probe([1.0, 2.0])], [probe([3.0, 4.0])], [probe([5.0, 9.0])]]
    made = rows(cut_table(of_probes(found)))
    stable = row(made, when="all", cut="stable-hessian", horizon=2)
    assert stable["left_out"] == pytest.approx(4.0)
    assert stable["left_out_low"] < 4.0 < stable["left_out_high"]
    assert all(np.isnan(one["left_out"]) for one in made if one["cut"] != "stable-hessian")


def test_a_growth_that_is_not_there_has_no_shares():
    """Whether a cut leaves less of the noise or more: where it shrinks, nothing carries growth."""

    def probe(whole, left):
        growth = (("cut", "cut_horizon"), [[1.0, whole], [1.0, left]])
        return xarray.Dataset(
            {"cut_growth": growth},
            coords={"cut": ["full", "no-hessian"], "cut_horizon": [1, 2]},
            attrs={"iteration": 1, "samples": 5},
        )

    for wholes, left, is_known in (
        ((0.01, 0.02, 0.01), 1.4, False),
        ((0.9, 1.3, 1.2), 0.7, False),
        ((1.1, 1.3, 1.2), 0.7, True),
    ):
        made = rows(cut_table(of_probes([[probe(whole, left)] for whole in wholes])))
        found = row(made, when="all", cut="no-hessian", horizon=2)
        assert np.isfinite(found["removed"]) == is_known
        assert np.isfinite(found["growth"])


def test_what_a_cut_removes(tables, probes):
    found = row(
        tables["cuts"], configuration="optimiser=adam", when="all", cut="no-memory", horizon=3
    )

    def log(p, cut):
        return float(np.log(p.cut_growth.sel(cut=cut, cut_horizon=3)))

    shares = [
        1 - np.mean([log(p, "no-memory") for p in seed]) / np.mean([log(p, "full") for p in seed])
        for seed in probes
    ]
    assert found["removed"] == pytest.approx(np.mean(shares))
    assert (found["horizon"], found["count"], found["over"]) == (3, 3, "seeds")
    growth = [
        row(tables["cuts"], configuration="optimiser=adam", when="all", cut="full", horizon=n)
        for n in (1, 2, 3)
    ]
    logs = [np.log(one["growth"]) for one in growth]
    for n, value in zip((1, 2, 3), logs, strict=True):
        at_n = seeds_mean(
            probes, lambda p, n=n: np.log(p.cut_growth.sel(cut="full", cut_horizon=n))
        )
        assert value == pytest.approx(at_n, abs=1e-6)
    sgd = row(tables["cuts"], configuration="optimiser=sgd", when="all", cut="no-memory", horizon=3)
    assert sgd["removed"] == pytest.approx(0.0, abs=1e-4), "SGD has no memory to cut"


def test_shares_of_the_sources_sum_to_one(tables):
    shares = [
        row(tables["sources"], configuration="optimiser=adam", when="all", source=source)["share"]
        for source in ("validation trajectories", "inner trajectories")
    ]
    assert sum(shares) == pytest.approx(1.0)


def test_mixes_beside_what_independence_lets_expect(tables, probes):
    found = row(
        tables["mixing"],
        configuration="optimiser=adam",
        when="all",
        curve="mix if independent",
        horizon=3,
    )
    weights = mix_weights(3, None)
    logs = seeds_mean(
        probes,
        lambda p: 0.5 * np.log(np.sum((weights * p.growth.sel(estimator="n-step").values) ** 2)),
    )
    assert found["growth"] == pytest.approx(np.exp(logs))


def test_learning_curves_are_means_over_seeds_of_block_means(tables, study):
    curve = [
        r
        for r in tables["learning"]
        if (r["configuration"], r["series"]) == ("optimiser=adam", "odd discounts")
    ]
    assert [r["iteration"] for r in curve] == list(range(COMMON["train.iterations"]))
    values = []
    for cell in ADAM:
        line = (study.run_path(cell) / "metrics.jsonl").read_text().splitlines()[5]
        hyper = json.loads(line)["hyper"]
        values.append(np.mean([hyper[f"gamma_{i}"] for i in range(1, 10, 2)]))
    assert curve[5]["mean"] == pytest.approx(np.mean(values))
    assert curve[5]["deviation"] == pytest.approx(np.std(values, ddof=1))


def test_every_probe_is_compared_with_every_explanation(tables, probes):
    found = row(
        tables["comparisons"],
        configuration="optimiser=adam",
        seed=1,
        iteration=5,
        horizon=3,
        explanation="E4 optimiser memory, coherent",
        estimator="n-step",
    )
    probe = probes[1][1]
    assert found["measured"] == float(probe.growth.sel(estimator="n-step", horizon=3))
    assert found["predicted"] == pytest.approx(1 + 1.9 + 2.71)
    of_mix = row(
        tables["comparisons"],
        configuration="optimiser=adam",
        seed=1,
        iteration=5,
        horizon=3,
        explanation="E3 accumulation, coherent",
        estimator="mix",
    )
    assert of_mix["measured"] == float(probe.growth.sel(estimator="mix", horizon=3))
    weights = mix_weights(3, None)
    assert of_mix["predicted"] == pytest.approx(np.linalg.norm(weights * [1, 2, 3]))
    labels = {r["explanation"] for r in tables["standings"]}
    assert "E5 transient growth, incoherent" in labels
    assert {r["configuration"] for r in tables["standings"]} == {"optimiser=adam", "optimiser=sgd"}


def test_curvature_is_the_largest_of_all(tables, probes):
    found = row(
        tables["curvature"],
        configuration="optimiser=adam",
        when="all",
        operator="paper, I + H",
        quantity="spectral radius",
    )
    radii = np.concatenate([p.spectral_radius_minus_one.values.ravel() for s in probes for p in s])
    assert found["largest"] == radii.max()
    assert found["median"] == np.median(radii)
    assert found["spectra"] == radii.size


def test_the_edge_is_that_of_the_optimiser_and_shares_are_of_it(recorded_run):
    found = findings(recorded_run)
    (own,) = found.probes.values()
    sharpness = np.concatenate([probe.edge_sharpness.values.ravel() for probe in own])
    limit = float(own[0].edge[0])
    (edge,) = rows(found.tables["edges"], when="all")
    assert limit == pytest.approx(2 * 1.9 / 0.1)
    assert edge["edge"] == pytest.approx(limit)
    assert edge["largest"] == pytest.approx(sharpness.max() / limit)
    assert edge["share"] == pytest.approx(np.median(sharpness) / limit)
    assert edge["spectra"] == sharpness.size
