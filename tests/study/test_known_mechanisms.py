"""Whole studies of problems whose mechanism was built in: from the command to the verdict."""

import pytest

from hessdiag.analysis import findings
from hessdiag.analysis.frames import rows
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.grid import Grid
from tests.oracles.synthetic import KNOWN, PERIOD, adams_memory, noisy_validation, radius_above_one
from tests.study.driving import drive

N, SEEDS = PERIOD - 1, 5
CASES = {
    "E1 spectral radius": (radius_above_one, 2),
    "E4 optimiser memory, coherent": (adams_memory, 200),  # a young Adam takes the sign
    "E6 validation noise": (noisy_validation, 2),
}
ALIKE = {  # what says the same of these problems, and must
    "E1 spectral radius": ("E2 products, paper", "E5 transient growth, coherent"),
    "E4 optimiser memory, coherent": ("E5 transient growth, coherent",),
}


@pytest.mark.parametrize("label", CASES)
def test_a_study_finds_the_mechanism(label, tmp_path):
    """Trained, probed, compared and answered by the code that answers for Snake."""
    problem, periods = CASES[label]
    _, optimiser, rate = KNOWN[label]
    common = {
        "env": f"{problem.__module__}:{problem.__name__}",
        "n": 1,
        "learning.optimiser": optimiser,
        "learning.learning_rate": rate,
        "learning.schedule": "constant",
        "train.iterations": PERIOD * periods + 1,
        "probe.at": [PERIOD * periods],
        "probe.n": N,
        "probe.samples": 96,
        "probe.chunk": 96,
        "probe.unrolls": 1,
        "probe.resamples": 100,
        "probe.counterfactuals": ["no-hessian", "no-memory"],
        "probe.operators": [],
    }
    grid = Grid(common, {"seed": list(range(SEEDS))})
    directory = StudyDirectory.create(tmp_path / "study", grid, {"command": "hessdiag study"})
    drive(directory, grid)
    found = findings(directory.path)
    standings = rows(found.tables["standings"], estimator="n-step")
    won = {str(row["explanation"]) for row in standings if row["wins"] >= 0.95}
    assert won <= {label, *ALIKE.get(label, ())}
    assert label in won
    answers = {answer.question: answer for answer in found.verdict}
    assert answers["rivals"].status == "holds"
    assert label in answers["rivals"].labels["winners"].split("; ")
    assert (answers["published"].status == "holds") == (label == "E1 spectral radius")
