"""All figures, in the order of the page.

To add one, write a file with a function of `Findings` that gives a `FigureSpec`, or None where
there is nothing to show, and put the function here.
"""

from collections.abc import Callable

from hessdiag.analysis import Findings
from hessdiag.report.figures.curvature import density, extremes
from hessdiag.report.figures.growth import growth
from hessdiag.report.figures.horizons import signal, tradeoff
from hessdiag.report.figures.operators import plane, products, radii
from hessdiag.report.figures.side_by_side import phase, predicted_measured, published, sources
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.figures.training import along, hyper_parameters, learning, training

FIGURES: tuple[Callable[[Findings], FigureSpec | None], ...] = (
    growth,
    tradeoff,
    published,
    extremes,
    density,
    products,
    plane,
    radii,
    predicted_measured,
    phase,
    sources,
    signal,
    training,
    along,
    learning,
    hyper_parameters,
)
MOST = 7  # on one page


def specs(findings: Findings) -> list[FigureSpec]:
    """The first figures that have something to show."""
    found = [spec for figure in FIGURES if (spec := figure(findings)) is not None]
    return found[:MOST]
