"""The page of a study: complete, generated, and made again from its results alone."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser

import jax
import numpy as np
import pytest
from hessdiag.cli.drive_study import report_on_tables  # pyright: ignore[reportMissingImports]

from hessdiag import problems
from hessdiag.analysis import study_results
from hessdiag.analysis.cells import by_configuration, read_cells
from hessdiag.analysis.from_tables import configurations
from hessdiag.analysis.standings import evidence
from hessdiag.errors import UsageError
from hessdiag.report.studies import load_study, write_study_report
from hessdiag.report.studies.figures import FIGURES
from hessdiag.study import StudyDirectory
from hessdiag.train.launch import OUR_CHOICES
from tests.analysis.conftest import GRID


class Seen(HTMLParser):
    """Ids, links and the text of a page."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found["href"])

    def handle_data(self, data):
        self.text.append(data)


def read_csv(path):
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def page(study):
    seen = Seen()
    seen.feed((study.path / "report.html").read_text())
    return seen


def test_links_lead_somewhere(study, page):
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert (study.path / link).is_file()


def test_answers_come_first_and_in_order_each_with_its_figures(study, page):
    text = (study.path / "report.html").read_text()
    answered = json.loads((study.path / "results.json").read_text())["answers"]
    assert len(answered) == 4
    places = [text.index(f"<h3>{answer['question']}</h3>") for answer in answered]
    assert places == sorted(places)
    ends = [*places[1:], text.index('<section id="explanations">')]
    shown = []
    for answer, first, last in zip(answered, places, ends, strict=True):
        own = [slug for slug in answer["figures"] if slug not in shown]
        figures = [text.index(f'<figure id="{slug}">') for slug in own]
        assert figures == sorted(figures) != []
        assert first < figures[0]
        assert figures[-1] < last
        for slug in set(answer["figures"]) - set(own):
            assert f'Shown by <a href="#{slug}">figure ' in text[first:last]
        shown += own
    for answer, slug in zip(answered, ("calibration", "cuts", "mixing", "signal"), strict=True):
        assert slug in answer["figures"]
    assert "nan" not in re.findall(r"\b\w+\b", " ".join(page.text))


def test_figures_are_numbered_as_they_come(study):
    text = (study.path / "report.html").read_text()
    numbers = [int(number) for number in re.findall(r"<b>Figure (\d+)\.", text)]
    shown = re.findall(r'<figure id="([\w-]+)">', text)
    data = load_study(study.path)
    assert numbers == list(range(1, len(numbers) + 1))
    assert sorted(shown) == sorted(spec.slug for spec in FIGURES if spec.available(data))
    assert {"curvature", "terms", "sources"} <= set(shown)


def test_what_was_chosen_and_set_stands_on_the_page(study, page):
    text = " ".join(page.text)
    results = json.loads((study.path / "results.json").read_text())
    of_the_problem = problems.make("mrp", {}).about.choices
    assert of_the_problem
    assert results["our_choices"] == [*of_the_problem, *OUR_CHOICES]
    for choice in results["our_choices"]:
        assert choice in text
    assert "config.json" not in text
    assert results["settings"]["probe.resamples"] == [100]
    assert results["settings"]["seed"] == [0, 1, 2]
    assert re.search(r"train\.checkpoint_minutes\s+3\.0\s", text)


def test_every_cell_tells_which_revisions_made_it(study, tmp_path):
    """A study may be gone on with by another revision than it began with."""
    copy = StudyDirectory.open(shutil.copytree(study.path, tmp_path / "copy"))
    cells = GRID.cells()
    config = copy.run_path(cells[0]) / "config.json"
    document = json.loads(config.read_text())
    document["provenance"]["git_revision"] = "aaaaaaaaaaaa"
    document["resumed"] = [{"git_revision": one} for one in ("bbbbbbbbbbbb", None, "aaaaaaaaaaaa")]
    config.write_text(json.dumps(document))
    copy.write_results(study_results(copy, cells))
    made = [
        cell["revisions"] for cell in json.loads((copy.path / "results.json").read_text())["cells"]
    ]
    assert made[0] == ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]
    seen = Seen()
    seen.feed(write_study_report(copy.path).read_text())
    assert "aaaaaaaaaaaa, bbbbbbbbbbbb" in seen.text


def test_a_study_without_answers_shows_its_figures_all_the_same(study, tmp_path):
    """As results of earlier versions are: without choices and settings, too."""
    shutil.copy(study.path / "study.json", tmp_path / "study.json")
    results = json.loads((study.path / "results.json").read_text())
    tables = {"curvature": results["tables"]["curvature"]}
    kept = {name: results[name] for name in ("format_version", "cells", "scale", "problem")}
    document = kept | {"answers": [], "tables": tables}
    (tmp_path / "results.json").write_text(json.dumps(document))
    seen = Seen()
    seen.feed(write_study_report(tmp_path).read_text())
    assert [link for link in seen.links if link[1:] not in seen.ids and link[0] == "#"] == []
    assert "curvature" in seen.ids
    assert "answers" not in seen.ids
    assert "None is recorded for this study." in seen.text


def test_tables_hold_all_that_explanations_are_compared_on(study):
    cells = GRID.cells()
    tables = study_results(study, cells)["tables"]
    read = {one.name: one.evidence for one in configurations(tables, confidence=0.95)}
    measured = by_configuration(read_cells(study, cells))
    assert read.keys() == measured.keys()
    for name, results in measured.items():
        direct = evidence(results, estimator="n-step")
        assert direct is not None
        for one, other in zip(direct, read[name], strict=True):
            jax.tree.map(np.testing.assert_array_equal, one, other)


def test_figures_are_files_for_other_tools(study):
    data = load_study(study.path)
    for spec in FIGURES:
        if not spec.available(data):
            continue
        for kind in ("png", "svg"):
            assert (study.path / "figures" / f"{spec.slug}.{kind}").stat().st_size > 1000
        rows = read_csv(study.path / "figures" / f"{spec.slug}.csv")
        assert len(rows) == len(spec.rows(data)) > 0
    standings = read_csv(study.path / "tables" / "standings.csv")
    assert {row["configuration"] for row in standings} == {"optimiser=adam", "optimiser=sgd"}


def test_without_its_runs_the_same_answers_and_report_are_made_from_the_tables(study, tmp_path):
    for name in ("study.json", "results.json"):
        shutil.copy(study.path / name, tmp_path / name)
    results = json.loads((study.path / "results.json").read_text())
    (tmp_path / "results.json").write_text(json.dumps(results | {"answers": []}))
    again = report_on_tables(tmp_path)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert again.read_bytes() == (study.path / "report.html").read_bytes()
    for file in (study.path / "figures").iterdir():
        assert (tmp_path / "figures" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("results.json", None, "the file is missing"),
        ("study.json", "{", "damaged JSON"),
        ("results.json", "[]", "expected a JSON object"),
        ("results.json", '{"format_version": 9}', "format version 9"),
    ],
)
def test_what_cannot_be_read_is_refused(study, tmp_path, name, text, words):
    for file in ("study.json", "results.json"):
        shutil.copy(study.path / file, tmp_path / file)
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=words):
        load_study(tmp_path)
