"""All figures of a report, in the order of the page."""

from hessdiag.report.figure_cumulative import CUMULATIVE
from hessdiag.report.figure_density import DENSITY
from hessdiag.report.figure_extremes import EXTREMES
from hessdiag.report.figure_growth import GROWTH
from hessdiag.report.figure_hyper import HYPER_PARAMETERS
from hessdiag.report.figure_learning import LEARNING_CURVE
from hessdiag.report.figure_scatter import SCATTER
from hessdiag.report.figure_std import STD
from hessdiag.report.spec import FigureSpec

SECTIONS: dict[str, tuple[FigureSpec, ...]] = {
    "training": (LEARNING_CURVE, HYPER_PARAMETERS),
    "spectra": (EXTREMES, DENSITY, CUMULATIVE),
    "variance": (GROWTH, STD, SCATTER),
}
"""Figures by the section of the page that holds them."""

FIGURES: tuple[FigureSpec, ...] = tuple(spec for group in SECTIONS.values() for spec in group)
"""Every figure."""
