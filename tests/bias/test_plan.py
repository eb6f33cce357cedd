"""Plans of bias studies: their points, changes, and what is refused."""

import pytest

from hessdiag.bias.plan import BIAS_STUDIES, planned, shipped
from hessdiag.errors import UsageError


def document(**sweep):
    return {
        "summary": "a test",
        "sweep": [
            {
                "name": "samples",
                "axis": "problem.batch_size",
                "reference": "enumerated",
                "settings": {"env": "bandit", "n": 1},
                "vary": {
                    "estimator": ["lsf", "n-step"],
                    "problem.batch_size": [4, 8],
                    "seed": [0, 1, 2],
                },
                **sweep,
            }
        ],
    }


def test_points_hold_the_cells_that_one_program_measures():
    points = planned(document()).points()
    assert [(p.curve["estimator"], p.at, len(p.cells)) for p in points] == [
        ("lsf", 4.0, 3),
        ("lsf", 8.0, 3),
        ("n-step", 4.0, 3),
        ("n-step", 8.0, 3),
    ]
    assert len({p.slug for p in points}) == 4
    assert {c.settings.seed for c in points[0].cells} == {0, 1, 2}


def test_changes_are_of_all_sweeps_and_kept():
    plan = planned(document(), {"probe.samples": 10})
    assert {c.settings.probe.samples for p in plan.points() for c in p.cells} == {10}
    assert planned(plan.document, plan.document["changes"]).points() == plan.points()


@pytest.mark.parametrize("name", BIAS_STUDIES)
def test_those_that_are_shipped_are_whole(name):
    """Every claim is of curves that are there."""
    plan = planned(shipped(name))
    for claim in plan.claims:
        curves = [p.curve for p in plan.points() if p.sweep == claim.sweep]
        assert any(claim.where.items() <= curve.items() for curve in curves)
        assert claim.least <= claim.most


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"reference": "guessed"}, "reference: 'guessed'"),
        ({"axis": "problem.better"}, "problem.better"),
        ({"settings": {"env": "bandit", "n": 1, "problem.arms": 3}}, "problem.arms"),
    ],
)
def test_what_is_refused(changed, words):
    with pytest.raises(UsageError, match=words):
        planned(document(**changed)).points()


def test_a_claim_of_no_sweep_is_refused():
    claim = {"name": "a", "sweep": "other", "quantity": "bias", "says": "", "denies": ""}
    with pytest.raises(UsageError, match="no sweep 'other'"):
        planned(document() | {"claim": [claim]})
