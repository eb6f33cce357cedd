"""Explanations of the user's own: found by name, checked, and never without a row."""

import numpy as np
import pytest

from hessdiag.errors import UsageError
from hessdiag.probes.explanations import Evidence, explanations_at, predictions

EVIDENCE = Evidence(np.zeros((1, 3)), np.zeros((1, 3)), memory=0.5)
SOURCE = """
import numpy as np
from hessdiag.statistics import Interval

def squares(evidence):
    k = np.arange(1.0, evidence.n + 1)
    return Interval(k**2, k**2 - 0.5, k**2 + 0.5)

def labelled(evidence):
    return squares(evidence)

labelled.label = "E8 squares"

def silent(evidence):
    return None

def short(evidence):
    return Interval([1.0], [1.0], [1.0])

def failing(evidence):
    raise ValueError("no idea")

def taken(evidence):
    return None

taken.label = "E1 spectral radius"
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Paths of functions in a module in the current directory."""
    (tmp_path / "of_their_own.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda *names: [f"of_their_own:{name}" for name in names]


def test_their_labels_are_their_own_or_the_functions_names(own):
    found = explanations_at(own("squares", "labelled"))
    made = predictions(EVIDENCE, found)
    assert list(made)[-2:] == ["squares", "E8 squares"]
    for label in ("squares", "E8 squares"):
        np.testing.assert_allclose(made[label], [[1, 4, 9], [0.5, 3.5, 8.5], [1.5, 4.5, 9.5]])


def test_where_they_do_not_apply_the_prediction_is_undefined(own):
    made = predictions(EVIDENCE, explanations_at(own("silent")))
    np.testing.assert_array_equal(made["silent"], np.full((3, 3), np.nan))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("short", r"'short' made an array of shape \(1,\); allowed: \(3,\), a number per horizon"),
        ("failing", r"'failing' failed \(ValueError: no idea\)"),
    ],
)
def test_what_goes_wrong_in_them_is_one_line(own, name, message):
    with pytest.raises(UsageError, match=f"^probe.explanations: {message}$"):
        predictions(EVIDENCE, explanations_at(own(name)))


def test_what_cannot_be_found_or_told_apart_is_refused(own):
    with pytest.raises(UsageError, match=r"^probe\.explanations: 'E9' .* allowed: module:function"):
        explanations_at(["E9"])
    with pytest.raises(UsageError, match=r"'of_their_own:none' could not be imported \(Attrib"):
        explanations_at(own("none"))
    for names in (("taken",), ("squares", "squares")):
        with pytest.raises(UsageError, match="is taken; allowed: a label of its own"):
            explanations_at(own(*names))
