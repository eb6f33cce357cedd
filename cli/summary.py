"""The first screen of a run or study as text."""

import shutil

from hessdiag.analysis import Findings
from hessdiag.report.terminal import first_screen


def summary(found: Findings) -> str:
    """What a run or study found, as wide as the terminal is."""
    width = shutil.get_terminal_size((110, 25)).columns
    return "\n".join(first_screen(found, width=width))
