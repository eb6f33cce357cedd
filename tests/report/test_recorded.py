"""A run that measured everything, as training wrote it."""

import shutil
from pathlib import Path

from hessdiag.report import write_report
from hessdiag.report.figures.palette import VARIABLES


def test_a_run_that_measured_everything_has_the_figures_of_runs(
    recorded_run: Path, tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(recorded_run, tmp_path / "run"))
    page = write_report(directory).read_text(encoding="utf-8")
    drawn = {path.stem for path in (directory / "figures").iterdir()}
    assert {"growth", "curvature", "density", "plane", "sources", "training"} == drawn
    assert not (directory / "results.json").exists()
    assert all(variable in page for variable in list(VARIABLES.values())[:5])
