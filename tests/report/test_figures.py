"""Every figure of every committed report, without drawing it."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from hessdiag.report.figures import registry
from hessdiag.report.figures.palette import VARIABLES
from hessdiag.report.figures.registry import FIGURES, MOST, specs
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.write import write_figure
from tests.report.conftest import found_in

HEADLINES = {
    "mechanism": "growth",
    "mechanism-long": "growth",
    "mechanism-mrp": "growth",
    "table1": "growth",
    "fig5": "growth",
    "fig4": "learning",
    "fig3": "published",
    "snake-n5": "growth",
}


@pytest.mark.parametrize("name", HEADLINES)
def test_committed_reports_have_few_figures_of_few_words(name: str) -> None:
    shown = specs(found_in(name))
    assert shown[0].slug == HEADLINES[name]
    assert 2 <= len(shown) <= MOST
    assert len({spec.slug for spec in shown}) == len(shown)
    for spec in shown:
        assert len(spec.caption.split()) <= 40
        assert spec.title
        assert spec.rows


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


def test_a_figure_is_drawn_once_and_each_panel_shows_its_part(found, tmp_path: Path) -> None:
    spec = specs(found)[0]
    drawn = write_figure(spec, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"growth.{k}" for k in ("png", "svg", "csv")
    }
    first, second = drawn.panels
    assert first.count("<path") > 20
    assert second.count("<") == 3
    assert 'href="#growth-figure_1"' in second
    assert 'id="growth-figure_1"' in first
    lefts = [float(panel.split('viewBox="')[1].split()[0]) for panel in drawn.panels]
    assert np.allclose(lefts, [0.0, 345.6], atol=5)


def test_every_colour_of_a_page_follows_the_scheme(found, tmp_path: Path) -> None:
    drawn = write_figure(specs(found)[0], tmp_path)
    held = ET.fromstring((tmp_path / "growth.svg").read_text())
    assert held.tag.endswith("svg")
    text = "".join(drawn.panels)
    assert sum(variable in text for variable in VARIABLES.values()) > 5
    assert not [part for part in text.split("style=") if ": #" in part]
