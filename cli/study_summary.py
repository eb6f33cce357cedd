"""The summary of a study directory for a terminal; reads files only."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hessdiag.report.studies import StudyData, count, headline_table, load_study, scale


def study_summary(path: Path) -> Group:
    """How much is done, a table of what was found, and every answer.

    Raises:
        UsageError: The study cannot be read, or none of it has been summed up yet.
    """
    data = load_study(path)
    return Group(Text(_extent(data)), _headline(data), *_answers(data))


def _extent(data: StudyData) -> str:
    failed = count(data, "failed")
    return (
        f"{count(data, 'finished')} of {len(data.results['cells'])} cells finished"
        f"{f', {failed} failed' if failed else ''}: {scale(data)}"
    )


def _headline(data: StudyData) -> Table:
    cells = headline_table(data)
    name = data.study.get("name") or data.directory.name
    title = f"{name}: (standard deviations over seeds), [{data.confidence} intervals]"
    table = Table(title=Text(title, "italic"), title_justify="left")
    names, *configurations = cells.columns
    longest = max((len(word) for row in cells.rows for word in row[0].split()), default=0)
    table.add_column(names, width=longest)
    for heading in configurations:
        table.add_column(heading, overflow="fold")
    for row in cells.rows:
        table.add_row(*(Text(text) for text in row))
    return table


def _answers(data: StudyData) -> Iterator[RenderableType]:
    for answer in data.results["answers"]:
        yield Text(f"\n{answer['question']}", "bold")
        for part in answer["parts"]:
            if part["configuration"]:
                yield Text(f"  {part['configuration']}")
            yield from (Padding(Text(f"• {one}"), (0, 0, 0, 2)) for one in part["sentences"])
