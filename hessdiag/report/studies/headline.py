"""A study in one narrow table: what configurations end with, and how far their spread grows."""

from collections.abc import Iterator

from hessdiag.report.numbers import MISSING
from hessdiag.report.studies.data import Row, StudyData, distinct
from hessdiag.report.studies.text import deviation_text, interval_text
from hessdiag.report.tables.table import Table

Line = tuple[str, str, str]  # what it is, ours, published


def headline_table(data: StudyData) -> Table:
    """A few rows per configuration, the published values beside ours where there are any.

    Returns:
        The first metric at the end of training, its standard deviation over seeds in round
        brackets; and for each estimator the growth, the standard deviation at the configuration's
        longest horizon over that of one step, with its interval in square ones.
    """
    names = distinct([*data.rows("final"), *data.rows("spread")], "configuration")
    rows = []
    for name in names:
        for number, line in enumerate([*_ends(data, name), *_growths(data, name)]):
            rows.append(((name or "all runs") if number == 0 else "", *line))
    columns = ("configuration", "quantity", "measured", "published")
    shown = 4 if any(row[3] != MISSING for row in rows) else 3
    return Table(columns[:shown], [row[:shown] for row in rows])


def _ends(data: StudyData, name: str) -> Iterator[Line]:
    rows = data.rows("final", configuration=name)
    for row in rows[:1]:
        yield f"final {row['series']}", deviation_text(row, "final", "deviation"), _published(row)


def _growths(data: StudyData, name: str) -> Iterator[Line]:
    rows = data.rows("spread", configuration=name, when="all", group="all")
    for estimator in distinct(rows, "estimator"):
        row = max(
            (row for row in rows if row["estimator"] == estimator), key=lambda row: row["horizon"]
        )
        if row["horizon"] > 1:
            what = f"growth, {estimator}, n={row['horizon']}"
            yield what, interval_text(row, "growth"), _published(row)


def _published(row: Row) -> str:
    return deviation_text(row, "published", "published_deviation")
