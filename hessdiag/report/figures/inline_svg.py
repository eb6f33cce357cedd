"""A figure's SVG made fit for standing in a page beside others."""

import re
from collections.abc import Sequence

from markupsafe import escape

from hessdiag.report.figures.palette import VARIABLES

_FAMILY = re.compile(r"'DejaVu Sans'(?:, sans-serif)?")
_COORDINATES = re.compile(r" (?:d|x|y|transform)=\"[^\"]*\"")
_HEAD = re.compile(r"<svg [^>]*>")

_LARGEST = 2.0  # pixels per point

Box = tuple[float, float, float, float]  # left, top, width and height of a panel, in points


def inline_panels(svg: bytes, boxes: Sequence[Box], *, name: str, label: str) -> tuple[str, ...]:
    """One `svg` element per panel, in the page's fonts and colours.

    The first holds the drawing and shows the first panel; the others show theirs of the same
    drawing, so that a page can set them side by side or one below the other.
    """
    text = svg.decode()
    text = text[text.index("<svg ") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*<style type=\"text/css\">.*?</style>", "", text, flags=re.DOTALL)
    first, *others = map(_frame, boxes)
    text = _HEAD.sub(f'<svg {first} role="img" aria-label="{escape(label)}">', text, 1)
    text = _own_ids(text, name)
    text = re.sub(r"(?<=: )#[0-9a-f]{6}\b", _variable, text)
    text = _FAMILY.sub("var(--sans)", text)
    text = _COORDINATES.sub(_short, text)
    text = re.sub(r"\s*\n\s*", "\n", text).strip()
    again = '<svg {} aria-hidden="true"><use href="#{}-figure_1"/></svg>'
    return (text, *(again.format(box, name) for box in others))


def _frame(box: Box) -> str:
    """What a panel shows of the drawing, and how large it may become."""
    sides = " ".join(f"{side:.6g}" for side in box)
    return f'viewBox="{sides}" style="max-width:{_LARGEST * box[2]:.0f}px"'


def standalone_svg(svg: bytes) -> bytes:
    """The SVG file with fonts that a reader's machine is likely to have."""
    return _FAMILY.sub("system-ui, 'DejaVu Sans', sans-serif", svg.decode()).encode()


def _own_ids(text: str, name: str) -> str:
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', text)
    return text.replace("url(#", f"url(#{name}-")


def _variable(match: re.Match[str]) -> str:
    colour = match.group()
    return f"var({VARIABLES[colour]})" if colour in VARIABLES else colour


def _short(match: re.Match[str]) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", match.group())  # hundredths of a point
