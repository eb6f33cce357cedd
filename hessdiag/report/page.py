"""The page of a run or of a study: everything inline, nothing fetched, no script."""

import re
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from hessdiag.analysis import Findings
from hessdiag.errors import printable
from hessdiag.report.figures.palette import DARK, VARIABLES
from hessdiag.report.figures.spec import DrawnFigure
from hessdiag.report.summary import cards, kicker, lead, limits, notes
from hessdiag.report.systems import systems
from hessdiag.report.tables import check_table, decided, folded
from hessdiag.report.words import changes, sentences, title

_FIRST = (title, kicker, lead, notes, cards, decided, systems, changes)
_REST = (limits, check_table, sentences, folded)


def page(findings: Findings, drawn: Sequence[DrawnFigure]) -> str:
    """The whole page."""
    environment = Environment(
        loader=PackageLoader("hessdiag.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain_html": Markup, "prose": _prose}
    rendered = environment.get_template("page.html.j2").render(
        {part.__name__: part(findings) for part in (*_FIRST, *_REST)},
        figures=drawn,
        choices=findings.choices,
        command=findings.provenance.get("command"),
        style=Markup(_colours() + environment.get_template("page.css").render()),
    )
    return printable(rendered)


def _prose(text: str) -> Markup:
    """Text with `code`, and with intervals that no line break parts."""
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    safe = re.sub(r"(?<=\S) \[", "\u00a0[", safe)
    return Markup(re.sub(r"\[([^\s\]]*), ([^\s\]]*)\]", "[\\1,\u00a0\\2]", safe))


def _colours() -> str:
    """The figures' colours for light and dark, as style sheet."""
    light = "".join(f"{VARIABLES[colour]}:{colour};" for colour in DARK)
    dark = "".join(f"{VARIABLES[colour]}:{other};" for colour, other in DARK.items())
    scheme = "@media screen and (prefers-color-scheme:dark)"
    return f":root{{{light}}}\n{scheme}{{:root{{{dark}}}}}\n"
