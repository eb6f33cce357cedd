"""How large a study is, and how much of it is done."""

from collections.abc import Sequence

from hessdiag.report.studies.data import StudyData


def count(data: StudyData, state: str) -> int:
    """How many cells are in a state, such as `finished`."""
    return sum(cell["state"] == state for cell in data.results["cells"])


def scale(data: StudyData) -> str:
    """How large the study is, in words."""
    of = data.results["scale"]
    words = [f"{of['seeds']} seeds", f"{_range(of['iterations'])} iterations"]
    if _range(of["points"]) != "0":
        words.append(f"{_range(of['points'])} probes a run, K = {_range(of['samples'])}")
    if _range(of["monte_carlo"]) != "1":
        words.append(f"{_range(of['monte_carlo'])} meta-gradients averaged per iteration")
    return ", ".join(words)


def _range(values: Sequence[int] | int) -> str:
    """`5`, or `5 to 10` where runs differ; results of earlier versions hold one number."""
    ends = [values] if isinstance(values, int) else sorted({values[0], values[-1]})
    return " to ".join(f"{end:,}" for end in ends)
