"""All figures of a report, in the order of the page."""

from hessdiag.report.figures.counterfactuals import COUNTERFACTUALS
from hessdiag.report.figures.cumulative import CUMULATIVE
from hessdiag.report.figures.density import DENSITY
from hessdiag.report.figures.extremes import EXTREMES
from hessdiag.report.figures.growth import GROWTH
from hessdiag.report.figures.hyper import HYPER_PARAMETERS
from hessdiag.report.figures.learning import LEARNING_CURVE
from hessdiag.report.figures.operator_plane import OPERATOR_PLANE
from hessdiag.report.figures.operators import OPERATORS
from hessdiag.report.figures.products import PRODUCTS
from hessdiag.report.figures.scatter import SCATTER
from hessdiag.report.figures.sources import SOURCES
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.figures.std import STD

SECTIONS: dict[str, tuple[FigureSpec, ...]] = {
    "training": (LEARNING_CURVE, HYPER_PARAMETERS),
    "spectra": (EXTREMES, DENSITY, CUMULATIVE),
    "operators": (OPERATORS, PRODUCTS, OPERATOR_PLANE),
    "variance": (GROWTH, STD, SCATTER),
    "mechanism": (COUNTERFACTUALS, SOURCES),
}
"""Figures by the section of the page that holds them."""

FIGURES: tuple[FigureSpec, ...] = tuple(spec for group in SECTIONS.values() for spec in group)
"""Every figure."""
