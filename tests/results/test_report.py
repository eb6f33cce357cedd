"""The page of a study: complete, generated, and made again from its results alone."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from hessdiag.errors import UsageError
from hessdiag.report.studies import load_study, write_study_report
from hessdiag.report.studies.figures import FIGURES


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


def test_answers_come_first_and_in_order_each_with_its_figure(study, page):
    text = (study.path / "report.html").read_text()
    asked = [
        answer["question"]
        for answer in json.loads((study.path / "results.json").read_text())["answers"]
    ]
    assert len(asked) == 4
    places = [text.index(f"<h3>{question}</h3>") for question in asked]
    figures = [text.index(f'<figure id="{slug}">') for slug in ("calibration", "cuts", "mixing")]
    assert places == sorted(places)
    for figure, before, after in zip(figures, places[:-1], places[1:], strict=True):
        assert before < figure < after
    assert "nan" not in re.findall(r"\b\w+\b", " ".join(page.text))


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


def test_without_its_runs_the_same_report_is_made_from_the_results(study, tmp_path):
    for name in ("study.json", "results.json"):
        shutil.copy(study.path / name, tmp_path / name)
    again = write_study_report(tmp_path)
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
