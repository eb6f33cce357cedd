import math

import numpy as np
import pytest
import xarray as xr

from hessdiag.report.operators import (
    certainty,
    of_operator,
    operator_names,
    products_of_radii,
    relative_departure,
    shown_error,
)
from hessdiag.report.tables.operators import operator_table, product_table
from tests.oracles.run_directory import OPERATORS, make_probe, with_operators


@pytest.fixture(scope="module")
def probe() -> xr.Dataset:
    return _probe(OPERATORS)


def _probe(operators: tuple[str, ...], n: int = 4) -> xr.Dataset:
    random = np.random.default_rng(3)
    made = make_probe(random, iteration=100, n=n)
    return with_operators(made, random, operators=operators, products=True)


@pytest.mark.parametrize(
    ("value", "bound", "estimate", "error", "bounded"),
    [
        (1e-2, 1e-3, 5e-5, 1e-3, True),
        (6e-2, 8.0, 5e-3, 5e-3, False),
        (-6e-2, 8.0, 5e-3, 5e-3, False),
        (1e-6, 3e-6, 3e-6, 3e-6, True),
        (1e-2, math.inf, 5e-5, 5e-5, False),
        (1e-2, math.nan, 5e-5, 5e-5, False),
        (1e-2, 8.0, math.nan, 8.0, True),
        (1e-2, math.inf, math.nan, math.nan, False),
    ],
)
def test_a_bound_that_says_nothing_gives_way(
    value: float, bound: float, estimate: float, error: float, bounded: bool
) -> None:
    found, is_bound = shown_error(*(np.array([x]) for x in (value, bound, estimate)))
    assert found[0] == pytest.approx(error, rel=0, nan_ok=True)
    assert is_bound[0] == bounded


def test_certainty_counts_who_decides(probe: xr.Dataset) -> None:
    assert certainty(probe, "update").tolist() == [[2, 2, 2, 2]]
    assert certainty(probe, "augmented").tolist() == [[1, 1, 1, 1]]
    words = xr.full_like(probe["operator_exceeds_one"], "undecided")
    open_ones = probe.assign(operator_exceeds_one=words, operator_exceeds_one_first_order=words)
    assert certainty(open_ones, "paper").tolist() == [[0, 0, 0, 0]]


def test_an_operator_that_is_not_there_is_nan(probe: xr.Dataset) -> None:
    two = probe.sel(operator=["paper", "update"])
    assert operator_names([two, probe]) == ["paper", "update", "preconditioned", "augmented"]
    assert np.isnan(of_operator(two, "departure", "augmented")).all()
    assert of_operator(two, "departure", "augmented").shape == (1, 4)
    assert of_operator(two, "operator_value_real", "update").shape == (1, 4, 24)


def test_relative_departure(probe: xr.Dataset) -> None:
    found = relative_departure(probe)["relative_departure"]
    assert np.array_equal(found, probe["departure"] / probe["operator_frobenius"])
    still = probe.assign(operator_frobenius=xr.zeros_like(probe["operator_frobenius"]))
    assert relative_departure(still)["relative_departure"].isnull().all()
    assert "relative_departure" not in relative_departure(probe.drop_vars("departure"))


def test_products_of_radii_take_the_last_steps(probe: xr.Dataset) -> None:
    found = products_of_radii(probe)["radius_product_minus_one"]
    radius = probe["operator_radius_minus_one"].sel(operator="augmented").values[0]
    for i in range(1, 5):
        expected = math.prod(1 + radius[4 - i + 1 :]) - 1
        at = found.sel(term=i, operator="augmented").item()
        assert at == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("operators", [OPERATORS, ("augmented",)])
def test_tables_have_a_row_per_operator(operators: tuple[str, ...]) -> None:
    probe = _probe(operators)
    table, products = operator_table(probe), product_table(probe)
    assert table is not None
    assert products is not None
    assert [row[0] for row in table.rows] == [
        f"{j}, {name}" for j in range(4) for name in operators
    ]
    assert [row[0] for row in products.rows] == [
        f"{i}, {name}" for i in range(2, 5) for name in operators
    ]
    for rows in (table, products):
        assert all(len(row) == len(rows.columns) for row in rows.rows)


def test_a_row_gives_bound_and_first_order_apart(probe: xr.Dataset) -> None:
    at = probe.copy(deep=True)
    place = {"operator_unroll": 0, "inner_step": 0, "operator": 3}
    for name, value in (
        ("operator_radius_minus_one", 0.0625),
        ("operator_radius_error", 8.1),
        ("operator_radius_estimate", 4.9e-3),
        ("departure", 83.13),
        ("departure_se", 0.98),
        ("operator_frobenius", 83.33),
        ("operator_converged", 0),
    ):
        at[name][place] = value
    table = operator_table(at)
    assert table is not None
    assert table.rows[3] == (
        "0, augmented",
        "0 ± 9",
        "≈ 0.062 ± 0.005",
        "undecided",
        "yes",
        "83.1 ± 1.0",
        "83.3",
        "48",
        "capped",
    )


def test_several_unrolls_are_named(probe: xr.Dataset) -> None:
    twice = xr.concat([probe, probe], dim="operator_unroll", data_vars="minimal")
    table = operator_table(twice)
    assert table is not None
    assert table.columns[0] == "j, unroll, operator"
    assert [row[0] for row in table.rows[3:5]] == ["0, 0, augmented", "0, 1, paper"]


def test_old_probes_have_no_table() -> None:
    random = np.random.default_rng(3)
    old = make_probe(random, iteration=100, n=2)
    assert operator_table(old) is None
    assert product_table(old) is None
    assert product_table(_probe(OPERATORS, n=1)) is None
