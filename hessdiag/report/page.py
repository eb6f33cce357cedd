"""The HTML page of a run."""

from collections.abc import Mapping

from hessdiag.report.figures.registry import SECTIONS
from hessdiag.report.html import DrawnFigure, style, template
from hessdiag.report.probes import confidence, early_middle_late, iteration
from hessdiag.report.run_data import RunData
from hessdiag.report.tables.counterfactuals import counterfactual_table
from hessdiag.report.tables.explanations import explanation_table
from hessdiag.report.tables.operators import operator_note, operator_table, product_table
from hessdiag.report.tables.probes import horizon_table, probe_table, solver_note, step_table
from hessdiag.report.tables.table import meta_parameter_table, provenance_table, settings_table
from hessdiag.report.tables.terms import term_table


def page(data: RunData, drawn: Mapping[str, DrawnFigure]) -> str:
    """The whole page.

    Args:
        data: The run.
        drawn: The figures that the run has, by slug.

    Returns:
        HTML.
    """
    numbers = {slug: number for number, slug in enumerate(drawn, start=1)}
    sections = {
        name: [drawn[spec.slug] for spec in specs if spec.slug in drawn]
        for name, specs in SECTIONS.items()
    }
    return template("page.html.j2").render(
        data=data,
        title=_title(data),
        problem={"description": None, "parameters": None} | data.config.get("problem", {}),
        command=data.config.get("provenance", {}).get("command"),
        state=_state(data),
        style=style(),
        sections=sections,
        numbers=numbers,
        explanations=explanation_table(data),
        probes=probe_table(data) if data.probes else None,
        details=_details(data),
        solver_note=solver_note(data),
        operator_note=operator_note(data),
        settings=settings_table(data),
        provenance=provenance_table(data),
        meta_parameters=meta_parameter_table(data),
        confidence=confidence(data.probes),
    )


def _title(data: RunData) -> str:
    settings = data.settings
    name = str(settings.get("env", "run"))
    n = settings.get("n")
    return f"{name}, n = {n}" if n is not None else name


def _state(data: RunData) -> str:
    summary = data.summary
    done, total = summary.get("iteration"), summary.get("iterations")
    if done is None:
        return ""
    return f"iteration {done:,} of {total:,}" if total else f"iteration {done:,}"


def _details(data: RunData) -> list[dict[str, object]]:
    return [
        {
            "iteration": iteration(probe),
            "steps": step_table(probe),
            "operators": operator_table(probe),
            "products": product_table(probe),
            "horizons": horizon_table(probe),
            "counterfactuals": counterfactual_table(probe),
            "terms": term_table(probe),
        }
        for probe in early_middle_late(data.probes)
    ]
