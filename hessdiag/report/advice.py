"""What to do about each check."""

from hessdiag.analysis import CODES, Check, Findings
from hessdiag.report import names
from hessdiag.report.tables import Table


def described(check: Check) -> str:
    """What is wrong, in one line."""
    return CODES.get(check.code, check.code)


def check_table(findings: Findings) -> Table | None:
    """A row per check that found something, over all configurations."""
    found = [check for check in findings.checks if check.count]
    rows = []
    for code in dict.fromkeys(check.code for check in found):
        same = [check for check in found if check.code == code]
        count = f"{sum(c.count for c in same)} of {sum(c.of for c in same)}"
        where = ", ".join(names.configuration(c.configuration) for c in same)
        rows.append([code, described(same[0]), count, where, names.named()["advice"].get(code, "")])
    return Table(["check", "what", "how many", "in", "what to do"], rows) if rows else None
