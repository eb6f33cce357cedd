"""The table of the terms of eq. 11."""

import numpy as np
import xarray as xr

from hessdiag.report.tables.terms import term_table


def probe(*, products: bool) -> xr.Dataset:
    """Two steps, two horizons; the second term alone varies at the longest."""
    contribution = np.zeros((3, 2, 2, 1))
    contribution[:, 1, 1, 0] = [1.0, 2.0, 3.0]
    variables = {
        "contribution": (("sample", "cut_horizon", "inner_step", "meta_parameter"), contribution),
        "term_reach": (("cut_horizon", "inner_step"), np.array([[1.0, 0.0], [0.5, 0.25]])),
    }
    if products:
        per_term = ("operator_unroll", "inner_step", "meta_parameter")
        variables["path_norm"] = (per_term[:2], np.array([[2.0, 5.0]]))
        variables["path_alignment"] = (per_term, np.array([[[0.125], [-0.5]]]))
        variables["eq11_alignment"] = (per_term, np.array([[[-0.5], [1.0]]]))
        variables["eq11_mixed_norm"] = (per_term, np.array([[[3.0], [4.0]]]))
        variables["eq11_product_norm"] = (per_term[:2], np.array([[1.25, 1.0]]))
    return xr.Dataset(variables, coords={"cut_horizon": [1, 2]})


def test_a_row_per_inner_step_at_the_longest_horizon():
    table = term_table(probe(products=False))
    assert table is not None
    assert table.columns == ("inner step j", "std of the term", "read")
    assert table.rows == [("0", "0", "0.500"), ("1", "1.00", "0.250")]


def test_factors_where_products_were_measured():
    table = term_table(probe(products=True))
    assert table is not None
    assert table.rows[0][3:] == ("2.00", "0.125", "0.250", "3.00", "0.500")
    assert table.rows[1][3:] == ("5.00", "0.500", "0", "4.00", "1.00")


def test_none_without_terms():
    assert term_table(xr.Dataset()) is None
