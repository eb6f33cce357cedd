"""Names of places along an inner loop, for sentences."""

import numpy as np


def named(what: str, places: np.ndarray) -> str:
    """Such as "inner steps 0, 2"."""
    return f"{what}{'s' if len(places) > 1 else ''} {', '.join(map(str, places))}"
