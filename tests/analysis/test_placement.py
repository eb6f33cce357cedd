"""Every figure of a study stands once on its page, and numbers run down the page."""

import pytest

from hessdiag.report.html import DrawnFigure
from hessdiag.report.studies.figures import FIGURES
from hessdiag.report.studies.placement import place

DRAWN = {spec.slug: DrawnFigure(spec.slug, spec.title, "", "", "") for spec in FIGURES}
ANSWERS = [{"figures": ["curvature"]}, {"figures": ["cuts", "sources", "terms"]}]


def slugs(figures):
    return [figure.slug for figure in figures]


def test_answers_have_their_figures_in_their_order():
    placed = place(ANSWERS, DRAWN)
    assert [slugs(figures) for figures in placed.answers] == [one["figures"] for one in ANSWERS]
    assert slugs(placed.beside) == ["calibration", "mixing", "signal"]
    assert slugs(placed.sections["training"]) == ["learning", "hyper-parameters"]


@pytest.mark.parametrize("answers", [ANSWERS, ANSWERS[::-1], []])
def test_numbers_follow_the_page_and_leave_none_out(answers):
    placed = place(answers, DRAWN)
    groups = (*placed.answers, placed.beside, *placed.sections.values())
    assert [slug for figures in groups for slug in slugs(figures)] == list(placed.numbers)
    assert list(placed.numbers.values()) == list(range(1, len(FIGURES) + 1))


def test_results_of_earlier_versions_name_a_single_figure():
    placed = place([{"figure": "calibration"}, {"figure": "cuts"}], DRAWN)
    assert [slugs(figures) for figures in placed.answers] == [["calibration"], ["cuts"]]
    assert "sources" in slugs(placed.beside)


def test_a_figure_that_two_answers_name_stands_at_the_first():
    placed = place([{"figures": ["cuts"]}, {"figures": ["mixing", "cuts"]}], DRAWN)
    assert [slugs(figures) for figures in placed.answers] == [["cuts"], ["mixing"]]
    assert [slugs(figures) for figures in placed.above] == [[], ["cuts"]]


def test_an_answer_may_name_the_figure_of_a_section_and_one_that_was_not_drawn():
    drawn = {slug: DRAWN[slug] for slug in ("learning", "hyper-parameters")}
    placed = place([{"figures": ["learning", "terms"]}], drawn)
    assert placed.numbers == {"learning": 1, "hyper-parameters": 2}
    assert slugs(placed.sections["training"]) == ["hyper-parameters"]
