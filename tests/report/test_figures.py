"""The figures of a study and of a run."""

import dataclasses
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from hessdiag.report.figures import registry
from hessdiag.report.figures.exponents import exponents
from hessdiag.report.figures.palette import VARIABLES
from hessdiag.report.figures.registry import FIGURES, specs
from hessdiag.report.figures.spec import DrawnFigure, FigureSpec
from hessdiag.report.write import write_figure


def test_a_run_has_the_figures_of_runs(run) -> None:
    slugs = [spec.slug for spec in specs(run)]
    assert slugs == ["growth", "curvature", "density", "products", "plane", "training"]


def test_the_first_figure_shows_what_is_measured(found) -> None:
    rows = [row for row in specs(found)[0].rows if row["horizon"] == 5]
    assert [round(row["growth"], 2) for row in rows] == [7.96]


def test_adding_a_figure_is_one_entry(found, run, monkeypatch: pytest.MonkeyPatch) -> None:
    def samples(findings) -> FigureSpec | None:
        kept = findings.kind == "run"
        return FigureSpec("own", "Own", "Own.", [{"x": 1}], Figure) if kept else None

    monkeypatch.setattr(registry, "FIGURES", (samples, *FIGURES))
    assert specs(run)[0].slug == "own"
    assert specs(found)[0].slug == "growth"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("figures")


@pytest.fixture(scope="module")
def drawn(found, folder: Path) -> DrawnFigure:
    """The first figure of the study; its files are in the folder."""
    return write_figure(specs(found)[0], folder)


def test_a_figure_is_drawn_once_and_each_panel_shows_its_part(drawn, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        f"growth.{k}" for k in ("png", "svg", "csv")
    }
    first, second = drawn.panels
    assert first.count("<path") > 20
    assert second.count("<") == 3
    assert 'href="#growth-figure_1"' in second
    assert 'id="growth-figure_1"' in first
    lefts = [float(panel.split('viewBox="')[1].split()[0]) for panel in drawn.panels]
    assert np.allclose(lefts, [0.0, 345.6], atol=5)


def test_every_colour_of_a_page_follows_the_scheme(drawn, folder: Path) -> None:
    held = ET.fromstring((folder / "growth.svg").read_text())
    assert held.tag.endswith("svg")
    text = "".join(drawn.panels)
    assert sum(variable in text for variable in VARIABLES.values()) > 5
    assert not [part for part in text.split("style=") if ": #" in part]


def exponent_rows(configurations) -> pd.DataFrame:
    """The table of exponents of these configurations, all alike."""
    names = ("norm, paper", "outer, augmented", "twin, own trajectories", "noise")
    numbers = {"exponent": 0.1, "exponent_low": 0.05, "exponent_high": 0.15}
    place = {"when": "all", "over": "seeds", "count": 3}
    return pd.DataFrame(
        [
            {"configuration": code, "exponent_of": name, **place, **numbers}
            for code in configurations
            for name in names
        ]
    )


def test_exponents_are_shown_where_there_are_twins_or_an_outer_gradient(found) -> None:
    rows = exponent_rows(found.configurations)
    shown = dataclasses.replace(found, tables=dict(found.tables) | {"exponents": rows})
    spec = exponents(shown)
    assert spec is not None
    assert len(spec.rows) == len(rows)
    assert len(spec.caption.split()) <= 40
    (axis,) = spec.draw().axes
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert len(set(labels)) == 4
    assert not any("augmented" in label for label in labels)
    without = rows[~rows["exponent_of"].str.startswith(("twin", "outer"))]
    assert exponents(dataclasses.replace(shown, tables={"exponents": without})) is None
    assert exponents(found) is None
