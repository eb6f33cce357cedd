"""Where on a study's page each figure stands, and the numbers that follow from it."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hessdiag.report.html import DrawnFigure
from hessdiag.report.studies.figures import ANSWERING, SECTIONS


class Placement(NamedTuple):
    """Every drawn figure once, in the order of the page.

    Attributes:
        answers: The figures that follow each answer.
        above: Those that each answer names, too, and that an earlier one shows.
        beside: Those that could show an answer, but that none names.
        sections: The others, by section.
        numbers: By slug, counted down the page.
    """

    answers: list[list[DrawnFigure]]
    above: list[list[DrawnFigure]]
    beside: list[DrawnFigure]
    sections: dict[str, list[DrawnFigure]]
    numbers: dict[str, int]


def place(answers: Sequence[Mapping[str, Any]], drawn: Mapping[str, DrawnFigure]) -> Placement:
    """Give every figure its place; one that two answers name stands at the first of them.

    Args:
        answers: Of results.json.
        drawn: The figures that the study has, by slug.
    """
    left = dict(drawn)

    def take(slugs: Iterable[str]) -> list[DrawnFigure]:
        return [left.pop(slug) for slug in slugs if slug in left]

    of_answers, above = [], []
    for answer in answers:
        above.append([drawn[s] for s in _named(answer) if s in drawn and s not in left])
        of_answers.append(take(_named(answer)))
    beside = take(spec.slug for spec in ANSWERING)
    sections = {name: take(spec.slug for spec in specs) for name, specs in SECTIONS.items()}
    in_order = itertools.chain(*of_answers, beside, *sections.values())
    numbers = {figure.slug: number for number, figure in enumerate(in_order, start=1)}
    return Placement(of_answers, above, beside, sections, numbers)


def _named(answer: Mapping[str, Any]) -> Sequence[str]:
    """The figures that show an answer; results of earlier versions name a single one."""
    return answer["figures"] if "figures" in answer else [answer["figure"]]
