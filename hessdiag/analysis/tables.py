"""All tables of a study: those of its configurations, one below the other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from hessdiag.analysis.comparisons import ESTIMATORS, comparison_table, evidence
from hessdiag.analysis.curvature import curvature_table
from hessdiag.analysis.cuts import cut_table, sensitivity_table, source_table
from hessdiag.analysis.directions import direction_table
from hessdiag.analysis.edges import edge_table
from hessdiag.analysis.exponents import exponent_table
from hessdiag.analysis.frames import chosen, stacked
from hessdiag.analysis.frontier import frontier_table
from hessdiag.analysis.learning import final_table, learning_table
from hessdiag.analysis.leaves import leaf_table
from hessdiag.analysis.loss_terms import loss_term_table
from hessdiag.analysis.measured import Configuration
from hessdiag.analysis.paired import paired_table
from hessdiag.analysis.phases import have_levelled_off
from hessdiag.analysis.published import of_the_paper, with_ends_of_curves, with_published
from hessdiag.analysis.published_curves import curve_table
from hessdiag.analysis.quality import quality_table
from hessdiag.analysis.smoothness import smoothness_table
from hessdiag.analysis.spread import mixing_table, spread_table
from hessdiag.analysis.standings import standing_tables
from hessdiag.analysis.terms import term_table
from hessdiag.analysis.variants import variant_table

MEASURED: Mapping[str, Callable[[Configuration], pd.DataFrame]] = {
    "learning": learning_table,
    "final": final_table,
    "spread": spread_table,
    "cuts": cut_table,
    "sources": source_table,
    "terms": term_table,
    "sensitivity": sensitivity_table,
    "curvature": curvature_table,
    "edges": edge_table,
    "exponents": exponent_table,
    "directions": direction_table,
    "smoothness": smoothness_table,
    "loss terms": loss_term_table,
    "frontier": frontier_table,
    "leaves": leaf_table,
    "mixing": mixing_table,
    "comparisons": comparison_table,
    "quality": quality_table,
    "published curves": curve_table,
}
OF_TRAININGS = (*MEASURED, "standings", "joint", "published")
NAMES = (*OF_TRAININGS, "paired", "variants", "errors", "slopes", "claims")
"""Of all tables; one without rows is empty."""

Tables = Mapping[str, pd.DataFrame]


def all_tables(configurations: Sequence[Configuration], varied: Sequence[str]) -> Tables:
    """The tables of all configurations, by name; the first column is the configuration.

    The final table has the values of what is varied, dotted keys, too.
    """
    each = [_of_configuration(configuration, varied) for configuration in configurations]
    held = {name: stacked([tables[name] for tables in each]) for name in OF_TRAININGS}
    held["paired"] = paired_table(configurations, varied)
    held["variants"] = variant_table(configurations, varied, held["frontier"])
    return {name: held.get(name, pd.DataFrame()) for name in NAMES}


def _of_configuration(of: Configuration, varied: Sequence[str]) -> dict[str, pd.DataFrame]:
    tables = {name: make(of) for name, make in MEASURED.items()}
    for place, key in enumerate(key for key in varied if key != "seed"):
        tables["final"].insert(place, key, [of.settings[key]] * len(tables["final"]))
    tables |= _standings(tables["comparisons"], of.confidence)
    if of_the_paper(of.settings):
        level = have_levelled_off(of.runs)
        pair = tables["final"], tables["spread"]
        tables |= with_published(*pair, of.settings, levelled_off=level)
    elif len(curves := _of_what_moves(of)) and len(tables["final"]):
        tables |= with_ends_of_curves(tables["final"], curves, of.settings)
    tables.setdefault("published", pd.DataFrame())
    for frame in tables.values():
        frame.insert(0, "configuration", of.name)
    return tables


def _of_what_moves(of: Configuration) -> pd.DataFrame:
    """The published curves but for hyper-parameters that are held."""
    curves: Any = curve_table(of)
    is_held = of.settings["n"] == 0 and len(curves) > 0
    return curves[~curves["series"].isin([*of.groups])] if is_held else curves


def _standings(comparisons: pd.DataFrame, confidence: float) -> dict[str, pd.DataFrame]:
    standing, joint = [], []
    for estimator in ESTIMATORS:
        compared = evidence(chosen(comparisons, estimator=estimator))
        if compared is not None:
            fare, together = standing_tables(compared, confidence=confidence)
            standing.append(fare.assign(estimator=estimator))
            joint.append(together.assign(estimator=estimator))
    return {"standings": stacked(standing), "joint": stacked(joint)}
