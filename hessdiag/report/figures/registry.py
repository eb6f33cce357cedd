"""All figures, in the order of the page.

To add one, write a file with a function of `Findings` that gives a `FigureSpec`, or None where
there is nothing to show, and put the function here.
"""

from collections.abc import Callable

from hessdiag.analysis import Findings
from hessdiag.report.figures import (
    curvature,
    errors,
    exponents,
    frontier,
    horizons,
    loss_terms,
    operators,
    side_by_side,
    smoothness,
    training,
    variants,
)
from hessdiag.report.figures.spec import FigureSpec

FIGURES: tuple[Callable[[Findings], FigureSpec | None], ...] = (
    variants.variants,
    horizons.growth,
    horizons.tradeoff,
    side_by_side.published,
    curvature.extremes,
    curvature.density,
    operators.products,
    operators.plane,
    operators.radii,
    side_by_side.predicted_measured,
    side_by_side.phase,
    side_by_side.sources,
    exponents.exponents,
    frontier.frontier,
    smoothness.agreement,
    loss_terms.ends,
    horizons.signal,
    training.training,
    training.along,
    training.learning,
    training.followed,
    training.hyper_parameters,
    *errors.SWEEPS,
)
MOST = 7  # on one page


def specs(findings: Findings) -> list[FigureSpec]:
    """The first figures that have something to show."""
    drawable = [spec for figure in FIGURES if (spec := figure(findings)) is not None]
    return drawable[:MOST]
