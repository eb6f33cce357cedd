"""Reports: one page for a run or a study, made from its findings alone."""

from pathlib import Path

__all__ = ["write_report"]


def write_report(directory: Path | str) -> Path:
    """Write the page, figures and tables of a run or of a study; of a study its results, too.

    Args:
        directory: A run, or a study, whose runs may be gone where its results.json is there.

    Returns:
        Where the page is.

    Raises:
        UsageError: It cannot be read.
    """
    from hessdiag.report.write import write_report  # draws with matplotlib, which takes its time

    return write_report(directory)
