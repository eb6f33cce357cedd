"""Statuses and numbers in words; the words themselves are free."""

import dataclasses
import itertools
import math

import pytest

from hessdiag.analysis import CODES, Answer, Check, Quantity
from hessdiag.report import names, words
from hessdiag.report.summary import cards, lead, limits, notes
from hessdiag.report.tables import check_table, decided

ADAM = "optimiser=adam"
NUMBERS = {
    "growth": (7.96, 6.47, 9.80),
    "predicted": (5.02, math.nan, math.nan),
    "without_hessian": (8.71, 7.14, 10.6),
    "without_memory": (2.93, 2.33, 3.68),
    "share_validation": (0.9985, 0.4608, 1.5363),
    "mix": (1.8, 1.6, 2.0),
    "n_step": (7.96, 6.47, 9.80),
}


def answer(question: str, status: str, **more) -> Answer:
    """An answer about Adam with all the numbers."""
    numbers = {name: Quantity(*ends, "seeds", 3) for name, ends in NUMBERS.items()}
    return Answer(question, ADAM, status, "no-work", numbers, **more)


def with_verdict(found, *answers: Answer):
    """The same findings with another verdict."""
    return dataclasses.replace(found, verdict=answers)


@pytest.mark.parametrize(
    ("curvature", "memory"), [*itertools.product((words.HOLDS, words.FAILS), repeat=2)]
)
def test_titles_follow_the_cuts(found, curvature: str, memory: str) -> None:
    told = with_verdict(found, answer("hessian-cut", curvature), answer("memory-cut", memory))
    text = words.title(told)
    assert "5-step" in text
    assert ("8.7×" in text) == (curvature == words.HOLDS)
    assert ("Adam" in text and "half" in text) == (memory == words.HOLDS)


@pytest.mark.parametrize("status", [words.HOLDS, words.FAILS, words.UNDECIDED])
def test_titles_differ_by_status(found, status: str) -> None:
    for question in ("growth", "published"):
        text = words.title(with_verdict(found, answer(question, status)))
        others = {
            words.title(with_verdict(found, answer(question, other)))
            for other in (words.HOLDS, words.FAILS, words.UNDECIDED)
            if other != status
        }
        assert text not in others


def test_every_question_has_its_sentences() -> None:
    for told in words.templates().values():
        assert told["question"]
        for status in (words.HOLDS, words.FAILS, words.UNDECIDED):
            assert told[status]["sentence"]
            assert ("heading" in told) == ("cell" in told[status])


def test_sentences_tell_numbers_and_what_would_decide(found) -> None:
    told = with_verdict(
        found,
        answer("memory-cut", words.UNDECIDED, needs={"seeds": 8.0}),
        answer("sources", words.HOLDS),
        answer("deflation", words.HOLDS),
    )
    memory, sources = (lines[0] for _, lines, _ in words.sentences(told)[1:])
    assert len(words.sentences(told)) == 3
    assert "2.9×" in memory
    assert "8 seeds" in memory.replace("8.0", "8")
    assert "46 %" in sources
    assert "154" not in sources


def test_only_what_holds_is_advised(found) -> None:
    held = with_verdict(found, answer("memory-cut", words.HOLDS), answer("mix", words.HOLDS))
    changes = words.changes(held)
    assert len(changes) == 2
    assert "8.0× → 2.9×" in changes[0]
    assert words.changes(with_verdict(found, answer("memory-cut", words.FAILS))) == []


def test_one_row_per_configuration(found) -> None:
    others = dataclasses.replace(answer("growth", words.HOLDS), configuration="optimiser=sgd")
    table = decided(with_verdict(found, answer("published", words.FAILS), others))
    assert table is not None
    assert [row[0] for row in table.rows] == ["Adam", "SGD"]
    assert "5.0×" in table.rows[0][2]
    assert table.rows[1][2] == ""
    assert decided(with_verdict(found)) is None


def test_growth_is_told_as_growth_with_the_limits_beside(found) -> None:
    text = " ".join(lead(found))
    for number in ("8.0", "8.7×", "2.9×", "8.6 ± 2.1", "4.4", "85"):
        assert number in text
    assert len(lead(found)) == 2
    assert 2 <= len(limits(found)) <= 5


def test_cards_hold_the_deciding_numbers(found, run) -> None:
    assert [card.value for card in cards(found)] == ["8.0×", "8.7×", "2.9×", "5.0×"]
    assert [card.tone for card in cards(found)] == ["", "bad", "good", ""]
    assert "[6.5, 9.8]" in cards(found)[0].detail
    assert any("--counterfactuals" in card.detail for card in cards(run))


def test_runs_that_failed_or_wait_are_named(found) -> None:
    cells = found.cells.copy()
    cells.loc[0, ["state", "message"]] = ["failed", "NaN in the loss"]
    told = dataclasses.replace(found, cells=cells)
    assert notes(found) == []
    assert "NaN in the loss" in notes(told)[0]
    assert f"1 of {len(cells)}" in notes(told)[1]


def test_checks_say_what_to_do(found) -> None:
    checks = tuple(Check(code, ADAM, 2, 9, {}) for code in CODES)
    table = check_table(dataclasses.replace(found, checks=checks))
    assert table is not None
    assert [row[0] for row in table.rows] == list(CODES)
    assert all("2 of 9" in row and row[-1] for row in table.rows)
    several = Check("HD001", ADAM, 1, 9, {}), Check("HD001", "optimiser=sgd", 2, 9, {})
    both = check_table(dataclasses.replace(found, checks=several))
    assert both is not None
    assert both.rows[0][2:4] == ["3 of 18", "Adam, SGD"]
    none = dataclasses.replace(found, checks=(Check("HD001", ADAM, 0, 9, {}),))
    assert check_table(none) is None


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("optimiser=adam", "Adam"),
        ("estimator=n-step n=5", "5-step"),
        ("estimator=mix n=3", "mix of 3"),
        ("estimator=n-step n=0", "fixed η"),
        ("n=7 optimiser=sgd", "n = 7, SGD"),
        ("learning_rate=0.1", "learning rate = 0.1"),
        ("", "all runs"),
    ],
)
def test_names_for_people(code: str, name: str) -> None:
    assert names.configuration(code) == name
