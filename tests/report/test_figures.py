"""A figure's CSV says what the run holds, and the page draws what the figure's file draws."""

import csv
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hessdiag.report import RunData, load
from hessdiag.report.figures.density import converged_outliers
from hessdiag.report.figures.learning import smooth
from hessdiag.report.figures.registry import FIGURES
from hessdiag.report.probes import early_middle_late


@pytest.fixture(scope="module")
def data(written: Path) -> RunData:
    return load(written)


def _csv(written: Path, slug: str) -> list[dict[str, str]]:
    with (written / "figures" / f"{slug}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _same(text: str, value: Any) -> bool:
    if value is None:
        return text == ""
    return math.isclose(float(text), float(value), rel_tol=0, abs_tol=0)


def test_learning_curve(written: Path, data: RunData) -> None:
    rows = _csv(written, "learning-curve")
    assert len(rows) == len(data.metrics)
    for row, record in zip(rows, data.metrics, strict=True):
        assert int(row["iteration"]) == record["iteration"]
        assert _same(row["return"], record["metrics"]["return"])
        assert _same(row["meta_gradient_norm"], record["meta_gradient_norm"])


def test_hyper_parameters(written: Path, data: RunData) -> None:
    for row, record in zip(_csv(written, "hyper-parameters"), data.metrics, strict=True):
        for name in data.meta_parameters:
            assert _same(row[f"{name}_hyper"], record["hyper"][name])
            assert _same(row[f"{name}_eta"], record["eta"][name])


def test_eigenvalue_extremes(written: Path, data: RunData) -> None:
    rows = _csv(written, "eigenvalue-extremes")
    names = ("paper_low", "paper_high", "spectral_radius_minus_one")
    assert len(rows) == sum(p.sizes["unroll"] * p.sizes["inner_step"] for p in data.probes)
    by_iteration = {p.attrs["iteration"]: p for p in data.probes}
    for row in rows:
        probe = by_iteration[int(row["iteration"])]
        at = probe.isel(unroll=int(row["unroll"]), inner_step=int(row["inner_step"]))
        assert row["exceeds_one"] == str(at["exceeds_one"].values)
        for name in names:
            assert _same(row[name], at[name])
            assert _same(row[f"{name}_error"], at[f"{name}_error"])


@pytest.mark.parametrize(
    ("slug", "name"), [("spectral-density", "density"), ("cumulative-spectrum", "cumulative")]
)
def test_spectra(written: Path, data: RunData, slug: str, name: str) -> None:
    found = np.array([float(row[name]) for row in _csv(written, slug)])
    probes = early_middle_late(data.probes)
    assert np.array_equal(found, np.concatenate([probe[name].values.ravel() for probe in probes]))


def test_growth(written: Path, data: RunData) -> None:
    rows = _csv(written, "growth")
    measured = [float(row["growth_high"]) for row in rows if row["growth_high"]]
    predicted = [float(row["prediction"]) for row in rows if row["prediction"]]
    assert measured == [x for p in data.probes for x in p["growth_high"].values.ravel()]
    assert predicted == [x for p in data.probes for x in p["prediction"].values.ravel()]


def test_std(written: Path, data: RunData) -> None:
    rows = _csv(written, "std")
    for name in ("std", "std_low", "ratio_high", "mean"):
        expected = [x for p in data.probes for x in p[name].values.ravel()]
        assert [float(row[name]) for row in rows] == expected


def test_measured_against_predicted(written: Path, data: RunData) -> None:
    rows = _csv(written, "measured-predicted")
    by_iteration = {p.attrs["iteration"]: p for p in data.probes}
    assert len(rows) == len(data.probes) * 5
    for row in rows:
        probe = by_iteration[int(row["iteration"])].sel(horizon=int(row["horizon"]))
        assert int(row["horizon"]) == 5
        assert _same(row["measured_low"], probe["growth_low"].sel(estimator="n-step"))
        predicted = probe["prediction"].sel(explanation=row["explanation"])
        assert _same(row["predicted"], predicted)


def test_spectra_of_all_probes(written: Path, data: RunData) -> None:
    rows = _csv(written, "probes")
    expected = [x for p in data.probes for x in p["mass_above_zero"].values.ravel()]
    assert [float(row["mass_above_zero"]) for row in rows] == expected


def test_operators(written: Path, data: RunData) -> None:
    rows = _csv(written, "operators")
    names = ("operator_radius_minus_one", "operator_radius_error", "departure_se")
    for name in names:
        expected = [x for p in data.probes for x in p[name].values.ravel()]
        assert [float(row[name]) for row in rows] == expected
    words = [x for p in data.probes for x in p["operator_exceeds_one_first_order"].values.ravel()]
    assert [row["operator_exceeds_one_first_order"] for row in rows] == words
    for row in rows:
        ratio = float(row["departure"]) / float(row["operator_frobenius"])
        assert float(row["relative_departure"]) == pytest.approx(ratio, rel=1e-15)


def test_products(written: Path, data: RunData) -> None:
    rows = _csv(written, "products")
    for name in ("product_norm_minus_one", "product_norm_error"):
        expected = [x for p in data.probes for x in p[name].values.ravel()]
        assert [float(row[name]) for row in rows] == expected
    assert [row["term"] for row in rows[:5]] == ["1", "1", "1", "1", "2"]
    for row in rows:
        norm, by_radii = (
            float(row[name]) for name in ("product_norm_minus_one", "radius_product_minus_one")
        )
        if row["operator"] == "paper":
            assert norm <= by_radii  # symmetric matrices


def test_operator_plane(written: Path, data: RunData) -> None:
    rows = _csv(written, "operator-plane")
    exact = ["update", "augmented"]
    names = ("operator_value_real", "operator_value_imag", "operator_value_estimate")
    for name in names:
        found = [p[name].sel(operator=exact).values for p in early_middle_late(data.probes)]
        expected = np.concatenate([values[np.isfinite(values)] for values in found])
        assert [float(row[name]) for row in rows] == expected.tolist()
    assert {row["operator"] for row in rows} == set(exact)


def test_outliers_are_the_converged_ritz_values(data: RunData) -> None:
    probe = data.probes[0]
    x, weight = converged_outliers(probe, 0)
    low = (probe["learning_rate"] * -probe["hessian_max"]).isel(inner_step=0).min()
    assert x.min() == pytest.approx(float(low), rel=1e-12)
    assert len(x) == len(weight) > 0
    assert np.isfinite(x).all()


def test_running_mean_passes_over_gaps() -> None:
    values = np.array([1.0, np.nan, 3.0, 5.0])
    assert smooth(values, window=3).tolist() == [1.0, 2.0, 4.0, 4.0]
    assert np.isnan(smooth(np.full(3, np.nan), window=3)).all()


@pytest.mark.parametrize("slug", [spec.slug for spec in FIGURES])
def test_page_and_file_have_the_same_words(written: Path, slug: str) -> None:
    page = (written / "report.html").read_text(encoding="utf-8")
    drawing = page[page.index(f'<figure id="{slug}">') :]
    drawing = drawing[: drawing.index('<div class="narrow">')]
    file = (written / "figures" / f"{slug}.svg").read_text(encoding="utf-8")
    words = re.findall(r"<text[^>]*>([^<]*)</text>", file)
    assert words
    assert re.findall(r"<text[^>]*>([^<]*)</text>", drawing) == words
