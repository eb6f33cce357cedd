"""What every page is made with: everything inline, nothing fetched, no script."""

from dataclasses import dataclass
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from hessdiag.report.figures.palette import DARK, VARIABLES


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
    environment.filters["notation"] = _notation
    return environment


def template(name: str) -> Template:
    """A template of the report, with the filters that all of them use."""
    return _environment().get_template(name)


def style() -> Markup:
    """The style sheet, and the figures' colours for light and dark."""
    light = "".join(f"{VARIABLES[colour]}:{colour};" for colour in DARK)
    dark = "".join(f"{VARIABLES[colour]}:{other};" for colour, other in DARK.items())
    colours = (
        f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )
    loader = _environment().loader
    assert loader is not None
    return Markup(colours + loader.get_source(_environment(), "page.css")[0])


def _notation(text: str) -> Markup:
    held = text.replace(" = ", "\u00a0=\u00a0").replace(" %", "\u00a0%")  # no line breaks there
    text = str(escape(held))
    for letter, index in (("H", "j"), ("P", "i"), ("P", "1")):
        text = text.replace(f"{letter}_{index}", f"{letter}<sub>{index}</sub>")
    return Markup(text)
