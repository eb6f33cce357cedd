"""Reports: one page for a run or a study, made from its findings alone."""

from pathlib import Path

__all__ = ["write_report"]


def write_report(directory: Path | str) -> Path:
    """Write the page, figures and tables of a run or of a study, and give where the page is.

    Of a study it writes results.json, too; its runs may be gone where that is there.

    Raises:
        UsageError: It cannot be read.
    """
    from hessdiag.report.write import write_report  # draws with matplotlib, which takes its time

    return write_report(directory)
