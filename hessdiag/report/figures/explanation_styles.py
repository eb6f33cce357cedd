"""Names, colours and dashes of the explanations, whatever their number."""

from collections.abc import Sequence

from hessdiag.report.figures.palette import CATEGORIES

_DASHES = ((5, 3.5), (1.2, 1.8), (6, 2, 1.2, 2), (10, 3))
_SHIFT = 4.25  # lines that coincide show through each other's gaps


def family(label: str) -> str:
    """`E3` of `E3 accumulation, coherent`."""
    return label.split(" ", 1)[0]


def styles(labels: Sequence[str]) -> dict[str, dict[str, object]]:
    """A colour per family and a dash pattern per member.

    Args:
        labels: All explanations of a run, in their order.

    Returns:
        Line settings for every label.
    """
    families = list(dict.fromkeys(family(label) for label in labels))
    result = {}
    for label in labels:
        members = [other for other in labels if family(other) == family(label)]
        result[label] = {
            "color": CATEGORIES[families.index(family(label)) % len(CATEGORIES)],
            "linestyle": (
                _SHIFT * families.index(family(label)),
                _DASHES[members.index(label) % len(_DASHES)],
            ),
        }
    return result
