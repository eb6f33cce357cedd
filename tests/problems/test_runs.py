"""Whole runs, from training to the page, of meta-parameters in tables and of named ones."""

import numpy as np
import pytest

from hessdiag.analysis import findings
from hessdiag.report import write_report
from tests.train.driving import TINY, fresh

SMALL = {"problem.rollout_length": 4}
MANY = {**SMALL, "problem.states": 14}  # 70 entries of η: too many to be named


@pytest.mark.parametrize(
    ("env", "settings", "named"),
    [
        ("tabular-maml", MANY, 0),
        ("ipd", SMALL, 10),
    ],
)
@pytest.mark.slow
def test_a_run_ends_in_a_page(tmp_path, env, settings, named):
    path = fresh(tmp_path / "run", {**TINY, **settings, "env": env})
    found = findings(path)
    spread = found.tables["spread"]
    assert len(set(spread.group) - {"all"}) == named
    growth = spread.query("group == 'all' and horizon == 2 and when == 'all'").growth
    assert len(growth) == 2  # alone and mixed
    assert (np.asarray(growth) > 0).all()
    headline = found.about["headline"]
    (metrics,) = found.metrics.values()
    assert np.isfinite(np.asarray(metrics[f"metrics.{headline}"])).all()
    page = write_report(path)
    assert page.stat().st_size > 10_000
