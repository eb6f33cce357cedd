"""The HTML page: everything inline, nothing fetched, no script."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from hessdiag.report.figures.palette import DARK, VARIABLES
from hessdiag.report.figures.registry import SECTIONS
from hessdiag.report.probes import confidence, early_middle_late, iteration
from hessdiag.report.run_data import RunData
from hessdiag.report.tables.counterfactuals import counterfactual_table
from hessdiag.report.tables.explanations import explanation_table
from hessdiag.report.tables.operators import operator_note, operator_table, product_table
from hessdiag.report.tables.probes import horizon_table, probe_table, solver_note, step_table
from hessdiag.report.tables.table import meta_parameter_table, provenance_table, settings_table


@dataclass(frozen=True)
class DrawnFigure:
    """A figure as the page holds it.

    Attributes:
        slug: Anchor, and stem of the files beside the page.
        title: Heading of the caption.
        caption: The rest of the caption.
        wide: SVG for wide screens and paper.
        narrow: SVG for narrow screens.
    """

    slug: str
    title: str
    caption: str
    wide: str
    narrow: str


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
    return _template().render(
        data=data,
        title=_title(data),
        problem={"description": None, "parameters": None} | data.config.get("problem", {}),
        command=data.config.get("provenance", {}).get("command"),
        state=_state(data),
        style=Markup(_style()),
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
        }
        for probe in early_middle_late(data.probes)
    ]


def _style() -> str:
    light = "".join(f"{VARIABLES[colour]}:{colour};" for colour in DARK)
    dark = "".join(f"{VARIABLES[colour]}:{other};" for colour, other in DARK.items())
    colours = (
        f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )
    return colours + _resource("page.css")


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["plain_html"] = Markup
    environment.filters["notation"] = _notation
    return environment.from_string(_resource("page.html.j2"))


def _notation(text: str) -> Markup:
    held = text.replace(" = ", "\u00a0=\u00a0").replace(" %", "\u00a0%")  # no line breaks there
    text = str(escape(held))
    for letter, index in (("H", "j"), ("P", "i"), ("P", "1")):
        text = text.replace(f"{letter}_{index}", f"{letter}<sub>{index}</sub>")
    return Markup(text)


def _resource(name: str) -> str:
    return files("hessdiag.report").joinpath(name).read_text(encoding="utf-8")
