"""The page of settings, and the list of problems, are those that the declarations make."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_is_up_to_date_and_has_every_setting():
    page = runpy.run_path(str(ROOT / "tools" / "settings_page.py"))["page"]()
    assert page == (ROOT / "docs" / "settings.md").read_text(), "make docs"
    for key in ("env", "probe.samples", "learning.optimiser", "problem.rows", "problem.states"):
        assert f"| `{key}` |" in page


def test_the_list_of_problems_is_up_to_date():
    text = runpy.run_path(str(ROOT / "tools" / "problems_list.py"))["text"]()
    assert text + "\n" == (ROOT / "hessdiag" / "problems" / "list.txt").read_text(), "make docs"
