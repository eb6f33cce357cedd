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

Figures = tuple[Callable[[Findings], FigureSpec | None], ...]

FIGURES: Figures = (
    variants.variants,
    horizons.growth,
    horizons.tradeoff,
    side_by_side.published,
    curvature.extremes,
    side_by_side.predicted_measured,
    side_by_side.phase,
    side_by_side.sources,
    operators.radii,
    curvature.density,
    operators.products,
    operators.plane,
    horizons.signal,
    training.training,
    training.along,
    training.learning,
    training.followed,
    training.hyper_parameters,
    *errors.SWEEPS,
)
ASKED: Figures = (exponents.exponents, frontier.frontier, smoothness.agreement, loss_terms.ends)
"""Of what was asked for by name: `probe.also`."""

MOST = 7  # on one page, besides


def specs(findings: Findings) -> list[FigureSpec]:
    """The first figures that have something to show, and all that were asked for."""
    told, asked = ([s for f in kind if (s := f(findings)) is not None] for kind in (FIGURES, ASKED))
    return told[:MOST] + asked
