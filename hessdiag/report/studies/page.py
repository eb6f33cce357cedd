"""The HTML page of a study."""

from collections.abc import Mapping
from typing import Any

from hessdiag.report.html import DrawnFigure, style, template
from hessdiag.report.studies.data import StudyData, intervals
from hessdiag.report.studies.extent import count, scale
from hessdiag.report.studies.headline import are_few, headline_table
from hessdiag.report.studies.placement import place
from hessdiag.report.studies.tables import (
    cell_table,
    curvature_table,
    final_table,
    grid_table,
    growth_table,
    joint_text,
    provenance_table,
    settings_table,
    standing_table,
    term_table,
)

_PLOTTED = {"fig4": "figure 4", "fig5": "figure 5"}  # what the paper gives no numbers of


def study_page(data: StudyData, drawn: Mapping[str, DrawnFigure]) -> str:
    """The whole page.

    Args:
        data: The study.
        drawn: The figures that it has, by slug.

    Returns:
        HTML.
    """
    answers = data.results["answers"]
    placed = place(answers, drawn)
    return template("study.html.j2").render(
        data=data,
        title=data.study.get("name") or data.directory.name,
        command=data.study.get("provenance", {}).get("command"),
        plotted=_PLOTTED.get(data.study.get("name", "")),
        done=count(data, "finished"),
        failed=count(data, "failed"),
        style=style(),
        numbers=placed.numbers,
        answers=list(zip(answers, placed.answers, placed.above, strict=True)),
        beside=placed.beside,
        sections=placed.sections,
        headline=headline_table(data) if are_few(data) else None,
        standings=_standings(data),
        final=final_table(data),
        growth=growth_table(data),
        curvature=curvature_table(data),
        terms=term_table(data),
        cells=cell_table(data),
        grid=grid_table(data),
        settings=settings_table(data),
        choices=data.results.get("our_choices", ()),
        provenance=provenance_table(data),
        confidence=data.confidence,
        over={name: intervals(data.rows(name), data.confidence) for name in ("spread", "terms")},
        scale=scale(data),
    )


def _standings(data: StudyData) -> list[dict[str, Any]]:
    rows = data.rows("standings")
    places = dict.fromkeys((row["configuration"], row["estimator"]) for row in rows)
    return [
        {
            "slug": f"standings-{number}",
            "name": ", ".join(filter(None, (configuration, estimator))),
            "table": standing_table(data, configuration, estimator),
            "joint": joint_text(data, configuration, estimator),
        }
        for number, (configuration, estimator) in enumerate(places, start=1)
    ]
