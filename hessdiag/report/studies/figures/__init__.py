"""All figures of a study's report, by section of its page."""

from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.studies.figures.along import ALONG
from hessdiag.report.studies.figures.calibration import CALIBRATION
from hessdiag.report.studies.figures.curvature import CURVATURE
from hessdiag.report.studies.figures.horizons import MIXING, SIGNAL, TRADEOFF
from hessdiag.report.studies.figures.learning import HYPER_PARAMETERS, LEARNING
from hessdiag.report.studies.figures.shares import CUTS, SOURCES
from hessdiag.report.studies.figures.terms import TERMS

ANSWERING: tuple[FigureSpec, ...] = (
    *(CURVATURE, CALIBRATION),
    *(CUTS, SOURCES, TERMS),
    *(MIXING, SIGNAL),
)
"""Figures that can show an answer."""

SECTIONS: dict[str, tuple[FigureSpec, ...]] = {
    "training": (LEARNING, HYPER_PARAMETERS),
    "spread": (TRADEOFF, ALONG),
}
"""The others, by the section that holds them."""

FIGURES: tuple[FigureSpec, ...] = (
    *ANSWERING,
    *(spec for group in SECTIONS.values() for spec in group),
)
