"""The first screen of a run or study as text."""

import shutil
from pathlib import Path

from hessdiag.analysis import findings
from hessdiag.report.terminal import first_screen


def summary(path: Path) -> str:
    """What the run or study in a directory found, as wide as the terminal is."""
    width = shutil.get_terminal_size((110, 25)).columns
    return "\n".join(first_screen(findings(path), width=width))
