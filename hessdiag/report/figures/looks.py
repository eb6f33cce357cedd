"""How configurations, operators and estimators look, the same in all figures."""

from collections.abc import Sequence

from hessdiag.report.figures.palette import CATEGORIES, sequence

OPERATORS = ("paper", "preconditioned", "update", "augmented")
MARKERS = "osD^v"


def colours(codes: Sequence[str]) -> dict[str, str]:
    """A colour per configuration: of a sequence where there are more than the categories hold."""
    if len(codes) <= len(CATEGORIES):
        return dict(zip(codes, CATEGORIES, strict=False))
    return {code: sequence(place, len(codes)) for place, code in enumerate(codes)}


def operator_colour(code: str) -> str:
    """The operator's colour."""
    return CATEGORIES[_place(code) % len(CATEGORIES)]


def operator_marker(code: str) -> str:
    """The operator's marker."""
    return MARKERS[_place(code) % len(MARKERS)]


def _place(code: str) -> int:
    plain = code.removesuffix(", I + H")
    return OPERATORS.index(plain) if plain in OPERATORS else len(OPERATORS)
