"""What the page is made with: everything inline, nothing fetched, no script."""

import re
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from hessdiag.report.figures.palette import DARK, VARIABLES


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hessdiag.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain_html"] = Markup
    environment.filters["prose"] = _prose
    return environment


def _prose(text: str) -> Markup:
    """Text with `code`, and with intervals that no line break parts."""
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    safe = re.sub(r"(?<=\S) \[", "\u00a0[", safe)
    return Markup(re.sub(r"\[([^\s\]]*), ([^\s\]]*)\]", "[\\1,\u00a0\\2]", safe))


def template() -> Template:
    """The template of the page."""
    return _environment().get_template("page.html.j2")


def style() -> Markup:
    """The style sheet, and the figures' colours for light and dark."""
    light = "".join(f"{VARIABLES[colour]}:{colour};" for colour in DARK)
    dark = "".join(f"{VARIABLES[colour]}:{other};" for colour, other in DARK.items())
    scheme = "@media screen and (prefers-color-scheme:dark)"
    colours = f":root{{{light}}}\n{scheme}{{:root{{{dark}}}}}\n"
    return Markup(colours + _environment().get_template("page.css").render())
