"""What is decided, in one table: a row per configuration, a column per question."""

from hessdiag.analysis import Answer, Findings
from hessdiag.report import names
from hessdiag.report.tables import Table
from hessdiag.report.words import said, templates


def decided(findings: Findings) -> Table | None:
    """A row per configuration, a column per question that some of them answers."""
    headings = {code: words["heading"] for code, words in templates().items() if "heading" in words}
    cells = {(a.configuration, a.question): _cell(findings, a) for a in findings.verdict}
    told = {place: text for place, text in cells.items() if text}
    columns = [code for code in headings if any(code == question for _, question in told)]
    rows = []
    for name in findings.configurations:
        label = names.configuration(name) if name else findings.name
        rows.append([label, *(told.get((name, code), "") for code in columns)])
    filled = [row for row in rows if any(row[1:])]
    return Table(["", *(headings[code] for code in columns)], filled) if filled else None


def _cell(findings: Findings, answer: Answer) -> str:
    """The answer in few words, with what would decide it."""
    needs = " or ".join(f"{value:,.0f} {name}" for name, value in answer.needs.items())
    text = said("cell", findings, answer)
    return f"{text} (needs {needs})" if text and needs else text
