"""A figure's SVG made fit for standing in a page beside others."""

import re

from hessdiag.report.figures.palette import VARIABLES

_FAMILY = re.compile(r"'DejaVu Sans'(?:, sans-serif)?")
_COORDINATES = re.compile(r" (?:d|x|y|transform)=\"[^\"]*\"")
_HEAD = re.compile(r"<svg [^>]*viewBox=\"([^\"]*)\"[^>]*>")


def inline_svg(svg: bytes, *, name: str, label: str) -> str:
    """The `svg` element alone, in the page's fonts and colours.

    Args:
        svg: A whole SVG file as matplotlib writes it.
        name: Put before every id, so that ids differ between the figures of a page.
        label: What a screen reader says.

    Returns:
        HTML without namespaces, metadata, document type and any address.
    """
    text = svg.decode()
    text = text[text.index("<svg ") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*<style type=\"text/css\">.*?</style>", "", text, flags=re.DOTALL)
    text = _HEAD.sub(rf'<svg viewBox="\1" role="img" aria-label="{_escaped(label)}">', text, 1)
    text = _own_ids(text, name)
    text = re.sub(r"(?<=: )#[0-9a-f]{6}\b", _variable, text)
    text = _FAMILY.sub("var(--sans)", text)
    text = _COORDINATES.sub(_short, text)
    return re.sub(r"\s*\n\s*", "\n", text).strip()


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


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
