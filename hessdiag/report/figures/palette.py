"""Colours and markers of the figures, each colour with a light and a dark form.

Drawn are the light ones, all different: in the page each becomes a CSS variable, so that the same
drawing follows the reader's colour scheme.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from hessdiag.analysis import Findings
from hessdiag.report import names

INK = "#1f2429"
MUTED = "#666e76"
GRID = "#e4e7ea"
PAPER = "#ffffff"
SHADE = "#eef3f8"

CATEGORIES = ("#0b66b0", "#c2480a", "#12805c", "#8a3fa0", "#a67c00", "#b8336a", "#4f5d75")
_CATEGORIES_DARK = ("#62b0f2", "#f5935a", "#4cc89b", "#cb8fe0", "#e0b83c", "#f07fab", "#a9b6cc")
PUBLISHED = CATEGORIES[5]

SEQUENCE = ("#3b0f6e", "#3f4b8a", "#2b788e", "#1fa188", "#64bf5a", "#93c83c")
_SEQUENCE_DARK = ("#a58be0", "#77a3ee", "#50c0df", "#53d8b2", "#a3e878", "#d3ee66")

DARK: Mapping[str, str] = {
    INK: "#dfe4e9",
    MUTED: "#9aa4ae",
    GRID: "#2b3239",
    PAPER: "#14181c",
    SHADE: "#1c2630",
    **dict(zip(CATEGORIES, _CATEGORIES_DARK, strict=True)),
    **dict(zip(SEQUENCE, _SEQUENCE_DARK, strict=True)),
}
"""The dark form of every light colour."""

VARIABLES: Mapping[str, str] = {light: f"--figure-{n}" for n, light in enumerate(DARK, start=1)}
"""The CSS variable of every light colour."""

_OPERATORS = ("paper", "preconditioned", "update", "augmented")
_MARKERS = "osD^v"


def sequence(index: int, count: int) -> str:
    """Colour number `index` of `count` ordered things."""
    return SEQUENCE[round(index / max(count - 1, 1) * (len(SEQUENCE) - 1))]


def looks(findings: Findings, shown: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, the same in all figures, marker and name of configurations."""
    codes = findings.configurations
    few = len(codes) <= len(CATEGORIES)
    colours = CATEGORIES if few else [sequence(place, len(codes)) for place in range(len(codes))]
    return {
        code: {
            "color": colours[codes.index(code)],
            "marker": _MARKERS[place % len(_MARKERS)],
            "label": names.configuration(code),
        }
        for place, code in enumerate(shown)
    }


def operator_look(code: str) -> dict[str, Any]:
    """Colour, marker and name of an operator."""
    plain = code.removesuffix(", I + H")
    place = _OPERATORS.index(plain) if plain in _OPERATORS else len(_OPERATORS)
    return {"color": CATEGORIES[place], "marker": _MARKERS[place], "label": names.operator(code)}
