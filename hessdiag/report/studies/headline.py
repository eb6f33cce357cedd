"""A study in one table: what every configuration ends with, how far its noise grows, and why."""

from collections.abc import Iterator

from hessdiag.report.numbers import MISSING, with_error
from hessdiag.report.studies.data import Row, StudyData, distinct
from hessdiag.report.studies.text import deviation_text, interval_text, percent_text
from hessdiag.report.tables.table import Table

FEW = 4  # configurations that fit beside one another

Line = tuple[str, str]  # a quantity, and its value


def headline_table(data: StudyData) -> Table:
    """The longest horizon of every configuration, over all of training.

    Returns:
        A row per quantity and a column per configuration where these are few, else a row per
        configuration and quantity. Standard deviations over seeds are in round brackets, intervals
        in square ones.
    """
    found = {name: dict(_lines(data, name)) for name in _configurations(data)}
    varied, names = _names(list(found))
    if not are_few(data):
        cells = [
            (name if number == 0 else "", *line)
            for name, lines in zip(names, found.values(), strict=True)
            for number, line in enumerate(lines.items())
        ]
        return Table((varied, "quantity", "value"), cells)
    quantities = dict.fromkeys(quantity for lines in found.values() for quantity in lines)
    cells = [(one, *(lines.get(one, MISSING) for lines in found.values())) for one in quantities]
    return Table((varied, *names), cells)


def are_few(data: StudyData) -> bool:
    """Whether the configurations stand beside one another."""
    return len(_configurations(data)) <= FEW


def _configurations(data: StudyData) -> list[str]:
    return distinct([*data.rows("final"), *data.rows("spread")], "configuration")


def _names(configurations: list[str]) -> tuple[str, list[str]]:
    """What is varied, and its values; where that is more than one setting, they stay as they are.

    ``optimiser=adam``, ``optimiser=sgd`` become ``optimiser`` and ``adam``, ``sgd``.
    """
    if not configurations or any(name.count("=") != 1 for name in configurations):
        return "configuration", [name or "all runs" for name in configurations]
    settings, values = zip(*(name.split("=") for name in configurations), strict=True)
    return settings[0], list(values)


def _lines(data: StudyData, name: str) -> Iterator[Line]:
    yield from _end(data, name)
    yield from _growth(data, name)
    yield from _causes(data, name)


def _end(data: StudyData, name: str) -> Iterator[Line]:
    """The first metric."""
    for row in data.rows("final", configuration=name)[:1]:
        quantity = f"{row['series']} at the end"
        yield quantity, deviation_text(row, "final", "deviation")
        yield from _published(quantity, row)


def _growth(data: StudyData, name: str) -> Iterator[Line]:
    rows = data.rows("spread", configuration=name, when="all", group="all")
    for estimator in distinct(rows, "estimator"):
        row = max(
            (row for row in rows if row["estimator"] == estimator), key=lambda row: row["horizon"]
        )
        if row["horizon"] > 1:
            quantity = f"growth, {estimator}, n={row['horizon']}"
            yield quantity, interval_text(row, "growth")
            yield from _published(quantity, row)
    for row in data.rows("sensitivity", configuration=name, when="all"):
        yield "growth, ‖∂θ/∂η‖", interval_text(row, "growth")


def _causes(data: StudyData, name: str) -> Iterator[Line]:
    at = {"configuration": name, "when": "all"}
    for row in data.rows("curvature", operator="paper, I + H", **at):
        yield "largest ρ(I + H) − 1", with_error(row["largest"], row["largest_error"])
    for row in data.rows("cuts", **at):
        if row["cut"] != "full":
            yield f"removed, {row['cut']} (%)", percent_text(row, "removed")
    for row in data.rows("sources", **at):
        if row["source"].endswith("trajectories"):
            yield f"from {row['source']} (%)", percent_text(row, "share")


def _published(quantity: str, row: Row) -> Iterator[Line]:
    if "published" in row:
        text = deviation_text(row, "published", "published_deviation")
        yield f"{quantity}, published", text
