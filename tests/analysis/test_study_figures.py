"""Figures and tables of a study, from rows of known content."""

from pathlib import Path

import numpy as np
import pytest

from hessdiag.report.figures.canvas import WIDE
from hessdiag.report.studies import StudyData
from hessdiag.report.studies.figures import CALIBRATION, CURVATURE, CUTS, TERMS
from hessdiag.report.studies.tables import growth_table, settings_table, term_table


def study(**tables) -> StudyData:
    return StudyData(Path(), {}, {"tables": tables})


def curvature(median, *, when="early", operator="paper, I + H", quantity="spectral radius"):
    return {
        "configuration": "x",
        "when": when,
        "operator": operator,
        "quantity": quantity,
        "median": median,
        "largest": abs(median) * 3,
        "largest_error": None,
        "spectra": 1,
    }


def ends(name, value):
    return {name: value, f"{name}_low": value / 2, f"{name}_high": value * 2}


def term(i, *columns, when="all"):
    place = {"configuration": "x", "when": when, "horizon": 3, "term": i, "inner_step": 3 - i}
    row = {name: number for column in columns for name, number in ends(column, 0.1 * i).items()}
    return place | {"over": "seeds", "count": 3} | row


@pytest.mark.parametrize(("median", "scale"), [(1e-5, "log"), (-1e-5, "symlog")])
def test_curvature_is_on_a_logarithmic_scale_of_either_sign(median, scale):
    rows = [
        curvature(median),
        curvature(0.1, operator="augmented"),
        curvature(1e-4, operator="paper", quantity="norm of the longest product"),
    ]
    axes = CURVATURE.draw(study(curvature=rows), WIDE).axes
    assert [axis.get_yscale() for axis in axes] == [scale, scale]
    names = [label.get_text() for label in axes[1].get_xticklabels()]
    assert names == ["paper, I + H", "augmented"], "one name for radius and norm"
    assert "augmented is" in CURVATURE.caption(study(curvature=rows))


def test_curvature_shows_the_thirds_and_its_csv_all_of_training():
    rows = [curvature(1e-5, when=when) for when in ("early", "late", "all")]
    figure = CURVATURE.draw(study(curvature=rows), WIDE)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["early", "late"]
    assert len(CURVATURE.rows(study(curvature=rows))) == 3
    assert not CURVATURE.available(study(curvature=rows[2:]))


def test_terms_have_a_panel_for_what_was_recorded():
    shares, factors = ("variance_share", "covariance_share"), ("outer_norm", "term_reach")
    largest = ("mixed_norm", "path_norm", "path_alignment")
    printed = ("eq11_product_norm_minus_one", "eq11_alignment")
    for columns, number in (
        (shares, 1),
        (shares + factors, 2),
        (shares + factors + printed, 3),
        (shares + factors + largest + printed, 4),
    ):
        data = study(terms=[term(i, *columns) for i in (1, 2, 3)])
        figure = TERMS.draw(data, WIDE)
        assert len(figure.axes) == number
        assert ("As printed" in TERMS.caption(data)) == (printed[0] in columns)
        assert ("At their largest" in TERMS.caption(data)) == (largest[0] in columns)
        assert "3 seeds" in TERMS.caption(data)


def test_norms_of_products_are_drawn_whole():
    rows = [term(i, "eq11_product_norm_minus_one") for i in (1, 2, 3)]
    line = TERMS.draw(study(terms=rows), WIDE).axes[0].lines[1]  # after the norm of T
    assert np.asarray(line.get_ydata(), dtype=float) == pytest.approx(np.array([1.1, 1.2, 1.3]))


def test_the_table_of_terms_has_the_columns_that_were_recorded():
    made = term_table(study(terms=[term(i, "variance_share", "term_reach") for i in (1, 2)]))
    assert made is not None
    assert made.columns == ("term i", "own variance", "read by T")
    assert made.rows[0] == ("x, 1", "0.100 [0.0500, 0.200]", "0.100 [0.0500, 0.200]")
    assert term_table(study(terms=[term(1, "variance_share", when="early")])) is None


def test_the_stable_cut_says_what_it_leaves_out():
    def cut(configuration, left_out):
        place = {"configuration": configuration, "over": "seeds", "count": 3}
        named = [{"cut": "full"}, {"cut": "stable-hessian", "left_out": left_out}]
        rows = [place | ends("removed", 0.5) | one for one in named]
        return [row | {"when": when} for row in rows for when in ("early", "all")]

    assert "stable-hessian leaves out 6.8 eigenpairs" in CUTS.caption(study(cuts=cut("x", 6.83)))
    both = CUTS.caption(study(cuts=cut("x", 6.83) + cut("y", 2.0)))
    assert "leaves out 6.8 (x), 2.0 (y) eigenpairs of each Hessian" in both
    assert "leaves out" not in CUTS.caption(study(cuts=cut("x", None)))


def test_calibration_names_the_horizons_that_it_shows():
    rows = [
        {"estimator": estimator, "horizon": horizon, "predicted": 2.0, "measured": 2.0}
        for estimator, horizon in (("n-step", 3), ("n-step", 2), ("mix", 5))
    ]
    assert "horizons kept: 2, 3; the CSV" in CALIBRATION.caption(study(comparisons=rows))
    assert len(CALIBRATION.rows(study(comparisons=rows))) == 3


def test_the_published_growth_is_that_of_the_configuration_which_has_one():
    def row(configuration, horizon, **published):
        place = {"configuration": configuration, "estimator": "n-step", "horizon": horizon}
        return place | {"when": "all", "group": "all"} | ends("growth", 2.0) | published

    theirs = {"published": 8.6, "published_deviation": 2.1}
    rows = [row(c, n) for c in ("sgd", "adam") for n in (2, 5)]
    made = growth_table(study(spread=[*rows[:3], rows[3] | theirs]))
    assert made is not None
    assert made.columns[-1] == "published"
    assert [cells[-1] for cells in made.rows] == ["–", "8.60 (2.1)"]
    without = growth_table(study(spread=rows))
    assert without is not None
    assert "published" not in without.columns


def test_settings_are_those_that_the_study_does_not_name():
    data = StudyData(
        Path(),
        {"common": {"env": "mrp"}, "varied": {"n": [1, 2]}},
        {"settings": {"env": ["mrp"], "n": [1, 2], "kappa": [None], "remat": [True], "b": [3, 4]}},
    )
    assert settings_table(data).rows == [("kappa", "not set"), ("remat", "yes"), ("b", "3 | 4")]
    assert settings_table(study()).rows == []
